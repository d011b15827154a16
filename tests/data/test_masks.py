from pathlib import Path

import numpy as np
import pytest

from promise_seg.data.masks import MaskKind, MaskRule, instances_of, mask_of
from promise_seg.errors import MaskError

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
    with pytest.raises(MaskError, match="no whole numbers"):
        mask_of(np.array([[0.5]]), MaskRule(MaskKind.INSTANCES), PATH)
    assert mask_of(np.array([[2.0]]), MaskRule(MaskKind.CLASSES, 2), PATH).all()
