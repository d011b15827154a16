"""Components in 3-D, slice after slice, are those of the whole volume at once."""

import numpy as np
import pytest
from scipy import ndimage

from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.volumes.components import clean
from promise_seg.volumes.packed import PackedMasks

CORNERS_AND_FACES = np.zeros((3, 3, 3), bool)
CORNERS_AND_FACES[1] = True
CORNERS_AND_FACES[:, 1, 1] = True


def packed(mask: np.ndarray) -> PackedMasks:
    masks = PackedMasks([one.shape for one in mask])
    for number, one in enumerate(mask):
        masks[number] = one
    return masks


def cleaned(mask: np.ndarray, voxel_mm3: float | None = 1.0, **rule) -> np.ndarray:
    masks = packed(mask)
    clean(masks, VolumeRule(**rule), voxel_mm3)
    return np.stack([masks[number] for number in range(len(masks))])


def speckles(seed: int, share: float = 0.35) -> np.ndarray:
    return np.random.default_rng(seed).random((7, 13, 11)) < share


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_and_those_of_a_size_are_scipy_s(seed):
    mask = speckles(seed)
    labels, _ = ndimage.label(mask, CORNERS_AND_FACES)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    assert np.array_equal(cleaned(mask, keep="largest"), labels == sizes.argmax())
    assert np.array_equal(cleaned(mask, 2.5, least_mm3=20.0), (sizes * 2.5 >= 20)[labels])
    assert 0 < cleaned(mask, 2.5, least_mm3=20.0).sum() < mask.sum()


@pytest.mark.parametrize("seed", range(4))
def test_cavities_are_scipy_s(seed):
    mask = speckles(seed, 0.75)
    filled = cleaned(mask, fill_holes=True)
    assert np.array_equal(filled, ndimage.binary_fill_holes(mask))
    assert filled.sum() > mask.sum()


def test_a_ring_through_all_slices_is_no_cavity():
    mask = np.zeros((4, 9, 9), bool)
    mask[:, 2:7, 2:7] = True
    mask[:, 4, 4] = False
    assert np.array_equal(cleaned(mask, fill_holes=True), mask)
    mask[0, 4, 4] = mask[-1, 4, 4] = True
    assert cleaned(mask, fill_holes=True)[:, 4, 4].all()


def test_without_the_size_of_voxels_none_is_too_small():
    mask = speckles(0)
    assert np.array_equal(cleaned(mask, None, least_mm3=1e9), mask)
    assert not cleaned(mask, 1.0, least_mm3=1e9).any()


def test_the_largest_is_kept_among_those_that_are_large_enough():
    mask = np.zeros((3, 8, 8), bool)
    mask[:, 1:3, 1:3] = True
    mask[0, 6, 6] = True
    assert cleaned(mask, least_mm3=2.0, keep="largest").sum() == 12
    assert not cleaned(mask, least_mm3=100.0, keep="largest").any()


@pytest.mark.parametrize("count", [0, 1])
def test_no_slice_and_one_slice(count):
    mask = speckles(1)[:count]
    rule = {"fill_holes": True, "least_mm3": 2.0, "keep": "largest"}
    masks = packed(mask)
    clean(masks, VolumeRule(**rule), 1.0)
    assert len(masks) == count
    if count:
        assert 0 < masks[0].sum() < mask.sum()
