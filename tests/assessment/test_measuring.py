from dataclasses import replace

import numpy as np
import pytest

from promise_seg.assessment.measuring import Tolerance, Unit, measure, parse_tolerance
from promise_seg.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("2", 2, "px"),
        ("1.5 mm", 1.5, "mm"),
        ("3px", 3, "px"),
        ("0.00001mm", 1e-5, "mm"),
        ("1234567.5", 1234567.5, "px"),
    ],
)
def test_tolerances(text, value, unit):
    assert parse_tolerance(text) == Tolerance(value, Unit(unit))
    assert parse_tolerance(str(Tolerance(value, Unit(unit)))) == Tolerance(value, Unit(unit))  # as summaries hold it


@pytest.mark.parametrize("text", ["", "0mm", "-1", "2cm", "mm", "9" * 400])
def test_what_is_no_tolerance(text):
    with pytest.raises(SettingsError, match="expected a number above 0 with px or mm"):
        parse_tolerance(text)


def test_distances_are_in_the_unit_that_is_wanted(checked):
    truth, shifted = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    truth[5:15, 5:15], shifted[9:19, 5:15] = True, True
    row = replace(checked[0], spacing=(0.5, 0.25))
    probs = shifted.astype(np.float32)
    in_pixels = measure(probs, shifted, truth, row, Tolerance(4.5)).values
    in_mm = measure(probs, shifted, truth, row, Tolerance(1.9, Unit.MILLIMETRES)).values
    assert (in_pixels["centre_distance"], in_mm["centre_distance"]) == (pytest.approx(4), pytest.approx(2))
    assert (in_pixels["hd95"], in_mm["hd95"]) == (pytest.approx(4), pytest.approx(2))
    assert in_pixels["surface_dice"] == 1
    assert in_mm["surface_dice"] < 1


def test_millimetres_need_a_file_that_knows_them(checked):
    mask = np.ones((30, 40), bool)
    with pytest.raises(SettingsError, match=r"manifest\.csv:2: .*0\.png has no known pixel size"):
        measure(mask.astype(np.float32), mask, mask, checked[0], Tolerance(1, Unit.MILLIMETRES))
