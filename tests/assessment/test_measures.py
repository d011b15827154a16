"""What the table says of each measure is what the measure does; and the documentation says the same."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from promise_seg.assessment.mask_pair import MaskPair, Objects
from promise_seg.assessment.measures import (
    MEASURE_NAMES,
    MEASURES,
    Given,
    WhenEmpty,
    about_older_name,
    curves_of,
    find_measure,
    heading_of,
    lower_is_better,
    markdown_table,
    rule_for_nothing,
    values_of,
)
from promise_seg.assessment.volumes import RULE_FOR_EMPTY_VOLUMES
from promise_seg.images.cut_masks import CutMask

DOCS = Path(__file__).parents[2] / "docs"
SHAPE = (40, 50)
each_measure = pytest.mark.parametrize("measure", MEASURES, ids=MEASURE_NAMES)


def square(side, shift=0):
    mask = np.zeros(SHAPE, bool)
    mask[5 : 5 + side, 5 + shift : 5 + shift + side] = True
    return mask


def pair(predicted, truth, sureness=1.0):
    probs = np.where(predicted, np.float32(sureness), np.float32(0))
    objects = Objects(*([CutMask.of(mask)] if mask.any() else [] for mask in (predicted, truth)))
    return MaskPair(probs, predicted, truth, objects=objects)


EMPTY, OBJECT = square(0), square(20)


def test_names_and_their_order_are_those_of_files():
    assert MEASURE_NAMES == (
        "dice", "iou", "mae", "precision", "recall", "s_measure", "maxEm", "meanEm", "adpEm", "maxFm", "meanFm",
        "adpFm", "weighted_f", "hd95", "assd", "surface_dice", "centre_distance", "average_precision",
        "average_precision_50", "panoptic_quality", "object_f1", "object_f1_50", "object_f1_75", "object_f1_90",
        "count_error",
    )  # fmt: skip
    assert [find_measure(name) for name in MEASURE_NAMES] == list(MEASURES)
    assert len({one.heading for one in MEASURES}) == len(MEASURES)
    assert list(curves_of(pair(OBJECT, OBJECT))) == ["maxEm", "maxFm"]
    assert list(values_of(pair(OBJECT, OBJECT))) == [name for name in MEASURE_NAMES if name not in ("maxEm", "maxFm")]
    masks_only = list(values_of(replace(pair(OBJECT, OBJECT), objects=None)))
    assert masks_only == [one.name for one in MEASURES if one.curve is None and not one.only_for_instances]


@each_measure
def test_a_perfect_mask_has_the_best_value_and_it_gets_worse_in_the_direction_that_is_said(measure):
    """The mask is moved away step by step; an object that is hit in part is missed by the strict ones at once."""
    values = [measure.value(pair(square(20, shift), OBJECT)) for shift in (0, 3, 9)]
    best = 0 if measure.lower_is_better else 1
    assert values[0] == pytest.approx(best, abs=0.01)
    for nearer, further in pairwise(values):
        assert (further >= nearer) if measure.lower_is_better else (further <= nearer)
    assert values[2] != values[0] or measure.name == "count_error"  # which knows no places


@each_measure
@pytest.mark.parametrize(("predicted", "truth"), [(EMPTY, EMPTY), (OBJECT, EMPTY), (EMPTY, OBJECT)])
def test_where_a_mask_is_empty_the_rule_is_kept(measure, predicted, truth):
    """By the table, and by whatever else computes the measure without it."""
    both = pair(predicted, truth, sureness=0.8)
    given = measure.when_empty.for_pair(both)
    value = measure.value(both)
    if given == Given.PERFECT:
        assert value == (0 if measure.lower_is_better else 1)
    elif given == Given.WORST:
        assert value == (np.hypot(*SHAPE) if measure.is_distance else 0)
    else:
        assert 0 <= value <= 1
    if measure.curve is not None:
        assert measure.values_by_threshold(both).max() == value
    if not (measure.is_distance or measure.uses_tolerance):
        assert measure.compute(both) == pytest.approx(value, abs=1e-9)


def test_objects_are_scored_by_themselves_whatever_the_mask_of_all_of_them():
    """The mask and the objects follow different rules, such as an opening of the mask alone."""
    found, none = [CutMask.of(OBJECT)], []
    objects_only = MaskPair(np.zeros(SHAPE, np.float32), EMPTY, OBJECT, objects=Objects(found, found))
    false_objects = MaskPair(np.zeros(SHAPE, np.float32), EMPTY, EMPTY, objects=Objects(found, none))
    for measure in (one for one in MEASURES if one.only_for_instances):
        best = 0 if measure.lower_is_better else 1
        assert measure.value(objects_only) == best
        assert measure.value(false_objects) == 1 - best


def test_distances_at_their_worst_are_in_the_unit_of_the_others():
    both = replace(pair(OBJECT, EMPTY), spacing=(0.5, 2.0))
    for measure in MEASURES:
        if measure.is_distance:
            assert measure.value(both) == pytest.approx(np.hypot(40 * 0.5, 50 * 2.0))


def test_shared_work_is_done_once_and_only_if_it_is_asked_for(monkeypatch):
    from promise_seg.assessment import surfaces

    calls = []
    real = surfaces.get_surface_distance
    monkeypatch.setattr(surfaces, "get_surface_distance", lambda *a, **k: calls.append(1) or real(*a, **k))
    both = pair(square(20, 3), OBJECT)
    find_measure("dice").value(both)
    assert not calls
    values_of(both)
    assert len(calls) == 2  # one for each direction


def test_what_is_impossible_is_refused():
    dice, mae = find_measure("dice"), find_measure("mae")
    with pytest.raises(ValueError, match="dice: a distance is better when lower"):
        replace(dice, is_distance=True)
    with pytest.raises(ValueError, match="mae: only distances and measures that are better when higher"):
        replace(mae, when_empty=WhenEmpty())
    with pytest.raises(ValueError, match="dice: is not measured at thresholds"):
        dice.values_by_threshold(pair(OBJECT, OBJECT))
    with pytest.raises(ValueError, match="must have the same shape"):
        MaskPair(np.zeros((3, 4), np.float32), np.zeros((3, 4), bool), np.zeros((4, 3), bool))
    with pytest.raises(ValueError, match="there are no objects"):
        find_measure("panoptic_quality").value(replace(pair(OBJECT, OBJECT), objects=None))


def test_what_another_version_measured_still_has_a_heading():
    assert (heading_of("new_score"), lower_is_better("new_score"), find_measure("new_score")) == (
        "new score", False, None
    )  # fmt: skip
    assert (heading_of("hd95"), heading_of("hd95", "mm"), heading_of("dice", "mm")) == ("HD95", "HD95 (mm)", "Dice")


def test_names_of_before_are_known():
    assert about_older_name("e_mean") == "e_mean is now called meanEm"
    assert "was replaced by maxEm" in about_older_name("e_max")
    assert about_older_name("dice") is None


def test_the_rule_in_words_names_every_exception_and_nothing_else():
    *cases, of_objects = rule_for_nothing().split("; ")
    assert of_objects.startswith("measures of separate objects are computed from the objects")
    for case, position in zip(cases, range(3), strict=True):
        given = {one.name: one.when_empty[position] for one in MEASURES if not one.only_for_instances}
        usual = max(set(given.values()), key=list(given.values()).count)
        head, _, exceptions = case.partition(", except ")
        assert f"every measure is {usual.value}" in head
        named = {name for name in MEASURE_NAMES if re.search(rf"\b{name}\b", exceptions)}
        assert named == {name for name, one in given.items() if one != usual}


def documented(name):
    """What stands between the marks of a generated part, wherever in the documentation it is."""
    pattern = re.compile(rf"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", re.DOTALL)
    found = [part for path in sorted(DOCS.rglob("*.md")) for part in pattern.findall(path.read_text(encoding="utf-8"))]
    assert len(found) == 1, f"expected one part marked <!-- {name} --> in the documentation, found {len(found)}"
    return found[0]


def test_the_table_in_the_documentation_is_this_table():
    expected = markdown_table()
    assert documented("measures") == expected, f"put this between the marks:\n\n{expected}\n"


@pytest.mark.parametrize(
    ("part", "rule"), [("rule for nothing", rule_for_nothing()), ("rule for volumes", RULE_FOR_EMPTY_VOLUMES)]
)
def test_the_rules_in_the_documentation_are_those_of_the_code(part, rule):
    expected = " ".join(f"- {case[0].upper()}{case[1:]}." for case in rule.split("; "))
    found = " ".join(documented(part).replace("`", "").split())
    assert found == expected, f"put this between the marks:\n\n{expected}\n"
