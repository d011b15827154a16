"""Slices of a volume are scored as one mask, other images by themselves."""

from dataclasses import replace

import numpy as np
import pytest

from promise_seg.assessment.overlaps import Overlap, ScoredRows
from promise_seg.images.geometry import Box
from tests.assessment.volume_rows import rows_of

TRUTH = np.zeros((3, 4, 5), bool)
TRUTH[0], TRUTH[1, 0, 0] = True, True
FOUND = TRUTH.copy()
FOUND[0] = False  # the large slice is missed, the others are right


def overlaps(rows):
    return [Overlap.of(FOUND[row.index], TRUTH[row.index]) for row in rows]


def test_a_volume_has_one_dice_and_each_slice_of_its_own_another():
    rows = rows_of(TRUTH)
    assert Overlap.of(FOUND[1], TRUTH[1]) == (1, 1, 1)
    volume, slices = ScoredRows(rows, as_volumes=True), ScoredRows(rows, as_volumes=False)
    assert (volume.has_volumes, slices.has_volumes) == (True, False)
    assert slices.mean_dice(overlaps(rows)) == pytest.approx(2 / 3)
    assert volume.mean_dice(overlaps(rows)) == pytest.approx(2 / 22)


def test_volumes_and_images_count_alike_and_a_slice_named_twice_once():
    image = replace(rows_of(TRUTH[:1], name="photo.png", mask="photo_mask.png")[0], is_slice=False, stacking=None)
    rows = [*rows_of(TRUTH), *rows_of(TRUTH, name="b.nii", mask="b_seg.nii", only=[1, 2]), image, rows_of(TRUTH)[1]]
    assert ScoredRows(rows, as_volumes=True).mean_dice(overlaps(rows)) == pytest.approx((2 / 22 + 1 + 0) / 3)


def test_tiles_of_slices_are_scored_by_themselves():
    rows = [
        replace(row, tile=Box(left, 0, left + 2, 4)) for row in rows_of(TRUTH) for left in (0, 2)
    ]  # fmt: skip
    scored = ScoredRows(rows, as_volumes=True)
    assert not scored.has_volumes
    assert scored.mean_dice(overlaps(rows)) == pytest.approx(2 / 3)
