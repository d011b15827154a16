"""Instance maps in the model frame and in views: objects stay apart, and the foreground is that of the mask."""

import numpy as np
import pytest

from promise_seg.augmentation.recipes import view_of
from promise_seg.images.geometry import Box, Geometry, on_mask
from promise_seg.images.masks import note_on_instances
from promise_seg.vocabulary import Fit, Recipe
from tests.instances.drawn import discs

LABELS = np.where(discs((20, 20, 9), (37, 20, 9), (50, 50, 5), side=64) > 0, 1, 0).astype(np.uint16)
LABELS[discs((20, 20, 9), (37, 20, 9), (50, 50, 5), side=64) == 2] = 700


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(64, 64, 64),
        Geometry(64, 64, 200),
        Geometry(64, 64, 24),
        Geometry(64, 64, 48, Fit.PAD),
        Geometry(64, 64, 64, crop=Box(5, 3, 60, 62)),
    ],
)
def test_in_the_model_frame_the_foreground_is_that_of_the_mask(geometry):
    found = geometry.labels_to_model(LABELS)
    assert np.array_equal(found > 0, geometry.mask_to_model(LABELS > 0))
    assert set(np.unique(found)) == {0, 1, 700}
    for number in (1, 700):
        assert np.mean((found == number) == geometry.mask_to_model(number == LABELS)) > 0.97


@pytest.mark.parametrize("recipe", [Recipe.OWN, Recipe.LIGHT])
def test_a_view_moves_it_as_it_moves_the_mask(recipe):
    view = view_of("ab" * 32, 3, recipe)
    found = view.apply_to_labels(LABELS)
    assert np.array_equal(found > 0, view.apply_to_mask(LABELS > 0))
    assert np.array_equal(found == 700, view.apply_to_mask(LABELS == 700))


def test_what_a_mask_has_in_addition_gets_the_nearest_label():
    labels = np.zeros((9, 9), np.uint16)
    labels[2, 2], labels[6, 6] = 3, 9
    mask = np.zeros((9, 9), bool)
    mask[2, 2:4] = mask[6, 5:7] = True
    found = on_mask(labels, mask)
    assert (found[2, 3], found[6, 5], np.count_nonzero(found)) == (3, 9, 4)
    assert on_mask(np.zeros((9, 9), np.uint16), mask).max() == 1


def test_a_label_map_or_a_plain_mask_given_as_instances_is_noticed():
    many = np.zeros((40, 40), np.uint8)
    many[::4, ::4] = 255
    assert "pass --class" in note_on_instances(many)
    many[4::8] //= 85  # two classes
    assert "pass --class" in note_on_instances(many)
    assert note_on_instances(LABELS) is None
    assert note_on_instances(np.zeros((4, 4))) is None
    two_parts = np.zeros((20, 20), int)
    two_parts[2:4, 2:4] = two_parts[9:12, 9:12] = 1
    assert note_on_instances(two_parts) is None
