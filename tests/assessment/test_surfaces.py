from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage
from scipy.spatial.distance import cdist

from promise_seg.assessment.mask_pair import MaskPair
from promise_seg.assessment.measures import find_measure
from promise_seg.assessment.surfaces import Surfaces

OF_SURFACES = ("hd95", "assd", "surface_dice", "centre_distance")


def score_surfaces(predicted, truth, tolerance=2.0, spacing=(1.0, 1.0)):
    """The measures of outlines as the table gives them, with its rule for nothing."""
    pair = MaskPair(predicted.astype(np.float32), predicted, truth, spacing, tolerance)
    return SimpleNamespace(**{name: find_measure(name).value(pair) for name in OF_SURFACES})


def square(top, left, side=20, shape=(60, 70)):
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def disc(radius, centre=(60, 60), shape=(120, 120)):
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    return np.hypot(y - centre[0], x - centre[1]) < radius


def edge(mask):
    return mask & ~ndimage.binary_erosion(mask)


def by_scipy(one, other, spacing=(1.0, 1.0)):
    """The same percentile from distance transforms."""
    distances = []
    for a, b in ((one, other), (other, one)):
        distances.append(np.percentile(ndimage.distance_transform_edt(~edge(b), sampling=spacing)[edge(a)], 95))
    return max(distances)


def test_a_mask_and_itself():
    found = score_surfaces(square(5, 5), square(5, 5))
    assert vars(found) == {"hd95": 0, "assd": 0, "surface_dice": 1, "centre_distance": 0}


@pytest.mark.parametrize("shift", [1, 3, 8])
def test_a_shifted_square(shift):
    found = score_surfaces(square(10, 10), square(10, 10 + shift))
    assert found.centre_distance == pytest.approx(shift)
    assert found.hd95 == pytest.approx(shift, abs=1e-5)
    assert (found.surface_dice == 1) == (shift <= 2)


@pytest.mark.parametrize("grown", [1, 2, 5, 9])
def test_discs_about_one_centre(grown):
    found = score_surfaces(disc(30 + grown), disc(30))
    assert found.hd95 == pytest.approx(grown, abs=1)
    assert found.centre_distance == pytest.approx(0, abs=1e-9)
    assert found.surface_dice == (1 if grown == 1 else pytest.approx(0.75 if grown == 2 else 0, abs=0.15))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.5), (2.0, 0.7)])
def test_distances_agree_with_scipy_s_in_any_unit(spacing):
    one, other = disc(25, (50, 61)), disc(31, (60, 55))
    found = score_surfaces(one, other, spacing=spacing)
    assert found.hd95 == pytest.approx(by_scipy(one, other, spacing), rel=1e-4)
    assert found.centre_distance == pytest.approx(np.hypot(10 * spacing[0], 6 * spacing[1]), rel=0.01)


def test_the_rule_for_nothing():
    empty, full = np.zeros((30, 40), bool), np.ones((30, 40), bool)
    assert vars(score_surfaces(empty, empty)) == {"hd95": 0, "assd": 0, "surface_dice": 1, "centre_distance": 0}
    for one, other in ((empty, full), (full, empty)):
        assert vars(score_surfaces(one, other)) == {"hd95": 50, "assd": 50, "surface_dice": 0, "centre_distance": 50}
    assert score_surfaces(empty, full, spacing=(2, 2)).hd95 == 100


@pytest.mark.parametrize("shape", [(1, 1), (1, 12), (12, 1)])
def test_the_smallest_images(shape):
    one = np.ones(shape, bool)
    assert score_surfaces(one, one).hd95 == 0
    first, last = np.zeros(shape, bool), np.zeros(shape, bool)
    first.flat[0] = last.flat[-1] = True
    assert score_surfaces(first, last).hd95 == max(shape) - 1


@pytest.mark.slow
@given(arrays(bool, (12, 15)), arrays(bool, (12, 15)))
@settings(max_examples=60, deadline=None)
def test_mirrors_and_swaps_change_nothing(one, other):
    found = vars(score_surfaces(one, other))
    for a, b in ((other, one), (one[::-1], other[::-1]), (one[:, ::-1], other[:, ::-1]), (one.T, other.T)):
        for name, value in vars(score_surfaces(a, b)).items():
            assert value == pytest.approx(found[name], abs=1e-4), name


@pytest.mark.slow
@given(arrays(bool, (12, 15)), arrays(bool, (12, 15)), st.sampled_from([1.0, 1.5, 3.0]))
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges")
def test_one_set_of_distances_gives_monai_s_own_values_to_the_last_bit(one, other, tolerance):
    if not one.any() or not other.any():
        return
    masks = [torch.from_numpy(mask)[None, None] for mask in (one, other)]
    options = {"include_background": True, "spacing": [1.0, 0.7]}
    found = Surfaces(one, other, tolerance=tolerance, spacing=(1.0, 0.7))
    assert found.hd95 == float(compute_hausdorff_distance(*masks, percentile=95, **options))
    assert found.surface_dice == float(compute_surface_dice(*masks, [tolerance], **options))
    average = float(compute_average_surface_distance(*masks, symmetric=True, **options))
    assert found.average_distance == pytest.approx(average, rel=1e-6)


@given(arrays(bool, (9, 11)), arrays(bool, (9, 11)), st.sampled_from([(1.0, 1.0), (0.5, 2.0)]))
@settings(max_examples=60, deadline=None)
def test_distances_are_those_between_all_pairs_of_outline_pixels(one, other, spacing):
    """By brute force, without a tree or a distance transform."""
    if not one.any() or not other.any():
        return
    between = cdist(*(np.argwhere(edge(mask)) * spacing for mask in (one, other)))
    nearest = between.min(1), between.min(0)
    found = score_surfaces(one, other, spacing=spacing)
    assert found.assd == pytest.approx(np.concatenate(nearest).mean(), abs=1e-5)
    assert found.hd95 == pytest.approx(max(np.percentile(one_way, 95) for one_way in nearest), abs=1e-5)
    assert found.surface_dice == pytest.approx(np.mean(np.concatenate(nearest) <= 2.0), abs=1e-6)


@pytest.mark.parametrize("shift", [1, 3, 8])
def test_the_average_distance_of_a_shifted_line_is_its_shift(shift):
    line = np.zeros((20, 12), bool)
    line[3, 2:10] = True
    assert score_surfaces(line, np.roll(line, shift, 0)).assd == pytest.approx(shift)


def test_shapes_must_agree_and_an_empty_mask_has_no_outline():
    with pytest.raises(ValueError, match="prediction is"):
        Surfaces(np.zeros((3, 4), bool), np.zeros((4, 3), bool))
    with pytest.raises(ValueError, match="an empty mask has no outline"):
        Surfaces(np.zeros((3, 4), bool), np.ones((3, 4), bool))
