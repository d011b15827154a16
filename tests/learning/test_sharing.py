"""The shares of several processes in a batch, also in the last one of an epoch, which may have few images."""

import numpy as np
import pytest
from torch.utils.data import BatchSampler, SequentialSampler

from promise_seg.learning.sharing import Share, SharedBatches


def shares(processes: int) -> list[Share]:
    return [Share(process, processes) for process in range(processes)]


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 6])
def test_each_image_counts_once_with_the_same_weight(size, processes):
    images = np.random.default_rng(size).random(size)
    own = [images[one.of(size)] for one in shares(processes)]
    assert np.concatenate(own).tolist() == images.tolist()
    means = [
        one.weight(size) * (part.mean() if len(part) else 7) for one, part in zip(shares(processes), own, strict=True)
    ]
    assert np.mean(means) == pytest.approx(images.mean())
    if size % processes == 0:
        assert {one.weight(size) for one in shares(processes)} == {1.0}


def test_all_processes_take_part_in_every_step_and_none_reads_images_of_another_batch():
    batches = BatchSampler(SequentialSampler(range(5)), 4, drop_last=False)
    found = [SharedBatches(batches, one) for one in shares(2)]
    assert [list(one) for one in found] == [[[0, 1], [4]], [[2, 3], [4]]]
    assert [len(one) for one in found] == [2, 2]
