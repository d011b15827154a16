from pathlib import Path

import numpy as np
import pytest

from promise_seg.errors import MaskError
from promise_seg.images.masks import MaskRule, instances_of, mask_of
from promise_seg.vocabulary import MaskKind

LABELS = np.array([[0, 1, 1], [2, 0, 300]])
PATH = Path("m.png")


def test_classes():
    assert mask_of(LABELS, MaskRule(MaskKind.CLASSES, 2), PATH).tolist() == [[False] * 3, [True, False, False]]
    assert mask_of(LABELS, MaskRule(MaskKind.CLASSES), PATH).tolist() == (LABELS > 0).tolist()


def test_instances_are_masks_of_their_own_and_together_one():
    assert mask_of(LABELS, MaskRule(MaskKind.INSTANCES), PATH).tolist() == (LABELS > 0).tolist()
    objects = list(instances_of(LABELS))
    assert [int(o.sum()) for o in objects] == [2, 1, 1]
    assert np.array_equal(np.any(objects, 0), LABELS > 0)


def test_a_binary_mask_has_two_values():
    with pytest.raises(MaskError, match=r"m\.png: a mask must have two values.*--class; if objects, --instances"):
        mask_of(LABELS, MaskRule(), PATH)
    assert mask_of(LABELS, MaskRule(threshold=1), PATH).sum() == 2


def test_labels_are_whole_numbers():
    with pytest.raises(MaskError, match="are not whole numbers"):
        mask_of(np.array([[0.5]]), MaskRule(MaskKind.INSTANCES), PATH)
    assert mask_of(np.array([[2.0]]), MaskRule(MaskKind.CLASSES, 2), PATH).all()


def test_a_threshold_that_empties_a_mask_of_ones_is_refused():
    with pytest.raises(MaskError, match=r"has no value above 1, so --mask-threshold 127 makes it empty"):
        mask_of(np.array([[0, 1]]), MaskRule(threshold=127), PATH)
    assert not mask_of(np.zeros((2, 2), int), MaskRule(threshold=127), PATH).any()


@pytest.mark.parametrize("label", [-1, 70000])
def test_labels_that_are_none(label):
    for kind in (MaskKind.CLASSES, MaskKind.INSTANCES):
        with pytest.raises(MaskError, match="expected 0 for background and others up to 65535"):
            mask_of(np.array([[0, label, 1]]), MaskRule(kind), PATH)
