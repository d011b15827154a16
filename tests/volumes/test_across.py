"""The mean over several axes: every voxel is where it belongs, whatever fits into memory at once."""

import numpy as np
import pytest

from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.rules.volume_rule import EACH_SLICE
from promise_seg.vocabulary import Axis
from promise_seg.volumes import across
from promise_seg.volumes.across import Cut, MeanProbs
from promise_seg.volumes.joining import JoinedProbs
from promise_seg.volumes.stack import Stack

SHAPE = (6, 9, 5)


class _Known:
    """Slices whose probabilities are known."""

    def __init__(self, slices):
        self.slices, self.stack, self.closed = slices, Stack.given(len(slices), (1.0, 1.0, 1.0)), False

    def __len__(self):
        return len(self.slices)

    def close(self):
        self.closed = True


def _frame(path, axis, oblique=False):
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])[[0, 2, 1, 3]] if oblique else np.diag([2.0, -1.0, 3.0, 1.0])
    return SliceFrame(path, SHAPE, affine, axis)


@pytest.mark.parametrize("own", list(Axis))
@pytest.mark.parametrize("at_once", [1, 4, 100])
def test_the_mean_is_that_of_the_voxels_of_the_file(tmp_path, monkeypatch, own, at_once):
    monkeypatch.setattr(JoinedProbs, "_alone", lambda self, number: self.collected.slices[number])
    volumes = [np.random.default_rng(seed).random(SHAPE).astype(np.float32) for seed in range(3)]
    first = _frame(tmp_path, own, oblique=True)
    others = [axis for axis in Axis if axis not in (Axis.AUTO, first.plane)]
    frames = [first, *(_frame(tmp_path, axis, oblique=True) for axis in others)]
    cuts = [Cut(_Known(one.to_slices(volume)), one) for one, volume in zip(frames, volumes, strict=True)]
    monkeypatch.setattr(across, "_BYTES_AT_ONCE", at_once * 4 * int(np.prod(frames[0].counts[1:])))
    found = MeanProbs(cuts[0], cuts[1:], EACH_SLICE, 0.5)
    stack = np.stack([found.probs(number) for number in range(len(found))])
    assert np.allclose(frames[0].from_slices(stack), np.mean(volumes, 0), atol=1e-6)
    assert np.array_equal(found.probs(1), stack[1])
    found.close()
    assert all(one.collected.closed for one in cuts)


def test_slices_that_were_enlarged_are_made_smaller_again(tmp_path, monkeypatch):
    monkeypatch.setattr(JoinedProbs, "_alone", lambda self, number: self.collected.slices[number])
    own, other = _frame(tmp_path, Axis.AXIAL), _frame(tmp_path, Axis.CORONAL)
    volume = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    enlarged = other.to_slices(volume).repeat(3, 1)
    found = MeanProbs(Cut(_Known(own.to_slices(volume)), own), [Cut(_Known(enlarged), other)], EACH_SLICE, 0.5)
    assert np.allclose(found.probs(2), own.to_slices(volume)[2], atol=1e-6)
