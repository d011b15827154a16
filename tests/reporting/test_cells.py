import pytest

from promise_seg.reporting.cells import is_nothing, is_numeric, number_of


@pytest.mark.parametrize(
    ("cell", "number"),
    [("0.512", 0.512), ("0.498 to 0.508", 0.498), ("1,042,417", 1042417), ("12 %", 12), ("4.20%", 4.2),
     ("-0.3", -0.3), ("\N{MINUS SIGN}2", -2), ("0.912 [0.87, 0.94]", 0.912), ("0.91 ± 0.02", 0.91), ("1e-05", 1e-5),
     ("3 of 20", 3), ("<0.001", 0.001), ("94.0 MB", 94)],
)  # fmt: skip
def test_cells_that_are_numbers(cell, number):
    assert number_of(cell) == number


@pytest.mark.parametrize("cell", ["", "-", "16 points", "under 1 %", "oracle points, 4", "1.2.3", "sha 12", "12ab"])
def test_cells_that_are_not(cell):
    assert number_of(cell) is None


def test_a_column_is_numeric_if_all_that_it_holds_is():
    assert is_numeric(["0.1", "-", "", "0.2"])
    assert not is_numeric(["0.1", "some"])
    assert not is_numeric(["-", ""])
    assert is_nothing(" - ")
