from pathlib import Path

import numpy as np
import pytest

from promise_seg.errors import MaskError
from promise_seg.images.masks import MaskRule, instances_of, mask_of, suggested_threshold, without_rounding
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


def test_a_threshold_that_empties_a_whole_file_is_refused_but_a_slice_of_it_may_be_empty():
    low, rule = np.array([[0, 1]]), MaskRule(threshold=127)
    with pytest.raises(MaskError, match=r"has no value above 1, so --mask-threshold 127 makes it empty"):
        mask_of(low, rule, PATH, lambda: 1.0)
    assert not mask_of(low, rule, PATH, lambda: 255.0).any()
    assert not mask_of(low, rule, PATH).any()
    assert not mask_of(np.zeros((2, 2), int), rule, PATH, lambda: 0.0).any()


SOFT = np.array([[0, 0.2], [0.6, 0.97]], np.float32)


@pytest.mark.parametrize(
    ("values", "option"),
    [(SOFT, "0.5"), (SOFT.astype(np.float64), "0.5"), (SOFT * 1.04, "0.5"), (SOFT * 100.5, "49"), (SOFT * 0.4, "0.19"),
     (np.array([[0, 50, 100]]), "50"), (np.array([[0, 3, 255]]), "127"), (np.array([[0, 9, 65535]]), "32767")],
)  # fmt: skip
def test_the_threshold_that_is_proposed_is_of_the_values_found(values, option):
    with pytest.raises(MaskError, match=rf"pass --mask-threshold {option}($|;)"):
        mask_of(values, MaskRule(), PATH)
    mask = mask_of(values, MaskRule(threshold=float(option)), PATH)
    assert mask.any()
    assert not mask.all()


def test_the_threshold_that_is_proposed_is_of_the_whole_file():
    """A slice at the edge of a soft mask has low values only."""
    with pytest.raises(MaskError, match=r"pass --mask-threshold 0\.5"):
        mask_of(SOFT / 9, MaskRule(), PATH, lambda: 1.0)
    assert not mask_of(np.array([[0, 1]]), MaskRule(threshold=50), PATH, lambda: 100.0).any()


def test_few_whole_numbers_are_no_greys():
    with pytest.raises(MaskError, match=r"from 0 to 3\. If they are classes, pass --class; if objects, --instances$"):
        mask_of(np.array([[0, 1, 2, 3]]), MaskRule(), PATH)


def _error(labels, path=PATH):
    with pytest.raises(MaskError) as raised:
        mask_of(labels, MaskRule(), path)
    return str(raised.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_instance_map_is_to_be_read_with_instances_and_no_threshold_is_proposed(dtype):
    labels = np.zeros((96, 96), dtype)
    labels.reshape(12, 8, 12, 8)[:, 2:6, :, 2:6] = np.arange(144, dtype=dtype).reshape(12, 1, 12, 1)
    said = _error(labels)
    assert "found 144 values from 0 to 143. Nearly every value is one connected object" in said
    assert "pass --instances" in said
    assert "--mask-threshold" not in said
    assert "PNG" not in said


def test_grey_values_of_a_blurred_mask_come_first_and_classes_second():
    yy, xx = np.mgrid[:96, :96]
    distance = np.hypot(yy - 48, xx - 48)
    soft = np.clip(255 - 30 * np.clip(distance - 30, 0, 99), 0, 255).astype(np.uint8)
    expected = "If they are intermediate grey values of JPEG or smooth resizing, pass --mask-threshold 127; if they are"
    assert f"to 255. {expected} classes" in _error(soft)
    assert "smooth resizing, save it as PNG or pass --mask-threshold 127" in _error(soft, Path("m.jpg"))


def test_a_few_large_values_are_classes_first():
    labels = np.repeat(np.array([[0, 60, 120, 180]], np.uint8), 20, axis=0)
    assert "180. If they are classes, pass --class; if objects, --instances; if they are inter" in _error(labels)


def test_without_a_positive_value_no_threshold_is_proposed():
    with pytest.raises(MaskError, match=r"Save it with 0 for background and 1 for the object"):
        mask_of(np.array([[-2.5, -1.5, 0]]), MaskRule(), PATH)


def test_labels_that_are_soft_are_told_what_to_do():
    for kind in (MaskKind.CLASSES, MaskKind.INSTANCES):
        with pytest.raises(MaskError, match=r"such as 0\.2; .*nearest neighbours.*--mask-threshold 0\.5 instead"):
            mask_of(SOFT, MaskRule(kind), PATH)


def test_what_is_no_number_is_refused_and_not_taken_for_the_object():
    values = np.array([[np.nan, 0], [1, 1]])
    for rule in (MaskRule(), MaskRule(MaskKind.CLASSES, 1), MaskRule(threshold=0.5)):
        with pytest.raises(MaskError, match=r"has 1 values that are not a number \(NaN\)"):
            mask_of(values, rule, PATH)


def test_single_bits_are_above_any_threshold():
    assert mask_of(np.array([[True, False]]), MaskRule(threshold=127), PATH).tolist() == [[True, False]]


def test_thresholds_are_in_the_middle():
    values = {1.0: 0.5, 0.9: 0.5, 0.3: 0.15, 2: 1, 100: 50, 255: 127, 254: 127, 12.34: 6.2}
    assert {value: suggested_threshold(value) for value in values} == values


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_are_rounded_within_half_a_step_of_their_scale(dtype):
    whole = np.arange(6, dtype=dtype)
    for step in (1 / 255, 2 / 255, 0.1, 200 / 255):
        stored = (np.round(whole / step) * step).astype(dtype)
        found = without_rounding(stored, step)
        assert found.dtype == dtype
        assert np.array_equal(found, whole)
    off = whole + np.array([0, 1e-7, -1e-7, 1e-4, -1e-4, 9e-4], dtype)
    assert np.array_equal(without_rounding(off), whole)
    assert not np.signbit(without_rounding(np.array([-1e-9], dtype))).any()


def test_labels_that_are_farther_off_than_their_scale_are_left_alone():
    for values, step in (
        (np.array([0, 0.996, 2]), 0.0),
        (np.array([0, 0.98, 2]), 2 / 255),
        (np.array([0, 0.5, 1]), 1 / 255),
        (np.array([0, 0.7, 1.4]), 1.4),
        (np.array([0, np.inf, np.nan]), 0.5),
    ):
        assert without_rounding(values, step) is values
    integers = np.array([0, 3])
    assert without_rounding(integers, 0.5) is integers


@pytest.mark.parametrize("label", [-1, 70000])
def test_labels_that_are_none(label):
    for kind in (MaskKind.CLASSES, MaskKind.INSTANCES):
        with pytest.raises(MaskError, match="expected 0 for background and others up to 65535"):
            mask_of(np.array([[0, label, 1]]), MaskRule(kind), PATH)
