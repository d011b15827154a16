"""Seeds of PyTorch."""

import pytest
import torch

from promise_seg.learning.seeds import torch_seed


def test_usual_seeds_are_taken_as_they_are():
    assert (torch_seed(7), torch_seed(7, 3)) == (7, 7 * 1_000_003 + 3)


@pytest.mark.parametrize("seed", [10**14, 2**63, 10**40])
def test_pytorch_takes_any_seed(seed):
    for number in (torch_seed(seed), torch_seed(seed, 3)):
        torch.Generator().manual_seed(number)
