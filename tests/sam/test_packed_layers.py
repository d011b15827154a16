"""The rest of a block after attention, few tokens at a time, is what its layers give."""

import pytest
import torch
from torch import nn

from promise_seg.sam import packed_layers
from promise_seg.sam.packed_layers import Mlp, finished


@torch.no_grad()
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 1, 2)], ids=["contiguous", "another memory layout"])
@pytest.mark.parametrize("rows", [512, 5])
def test_the_rest_of_a_block_is_what_its_layers_give(order, rows, monkeypatch):
    monkeypatch.setattr(packed_layers, "ROWS", rows)
    torch.manual_seed(0)
    back = tuple(order.index(place) for place in range(4))
    before, mixed = (torch.randn(2, 3, 4, width).permute(order).contiguous().permute(back) for width in (8, 6))
    project, widen, narrow = nn.Linear(6, 8), nn.Linear(8, 12), nn.Linear(12, 8)
    norm, kept = nn.LayerNorm(8), before.clone()
    found = finished(before, mixed, project, Mlp(norm, widen, nn.GELU(), narrow))
    summed = before + project(mixed)
    torch.testing.assert_close(found, summed + narrow(nn.functional.gelu(widen(norm(summed)))))
    assert found.is_contiguous()
    assert torch.equal(before, kept)
