import re
from xml.etree import ElementTree

import pytest

from promise_seg.reporting.charts import calibration_chart, interval_chart, line_chart


def words(chart):
    """What is lettered in a chart."""
    texts = ElementTree.fromstring(chart.svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()) for text in texts]


def lines(**options):
    series = {"mask": [(1, 0.9), (2, 0.5), (3, 0.2)], "point": [(1, 0.8), (2, 0.6), (3, 0.4)]}
    return line_chart(series, name="losses", x_label="epoch", y_label="loss", **options)


ROWS = [("small", 0.5, (0.4, 0.6), "own"), ("large", 0.7, None, "own"), ("small", 0.8, (0.7, 0.9), "oracle")]


def intervals():
    return interval_chart(ROWS, name="Dice", x_label="mean Dice", caption="below")


def calibration():
    return calibration_chart([(0.22, 0.3), (0.6, 0.55)], name="trust")


@pytest.mark.parametrize("draw", [lines, intervals, calibration])
def test_the_same_data_give_the_same_text(draw):
    assert draw() == draw()
    assert "202" not in re.sub(r"[\d.]*\.\d+", "", draw().svg)  # no date


def test_all_is_named_in_the_chart():
    assert {"epoch", "loss", "mask", "point"} <= set(words(lines()))
    assert {"small", "large", "own", "oracle", "mean Dice"} <= set(words(intervals()))
    assert {"mean trust (expected Dice)", "mean Dice"} <= set(words(calibration()))
    assert intervals().caption == "below"
    assert words(intervals()).count("small") == 1


def ticks(chart):
    return sorted(float(word) for word in words(chart) if re.fullmatch(r"[\d.]+", word))


@pytest.mark.parametrize(
    ("points", "ends"),
    [
        ([(0.22, 0.3), (0.6, 0.55)], (0.2, 0.6)),
        ([(0.939, 0.942), (0.984, 0.986)], (0.9, 1.0)),
        ([(1.0, 1.0)], (0.9, 1.0)),
        ([(0.0, 0.0)], (0.0, 0.1)),
    ],
)
def test_a_calibration_curve_has_the_range_of_its_points(points, ends):
    found = ticks(calibration_chart(points, name="trust"))
    assert (found[0], found[-1]) == ends


def test_means_with_intervals_have_a_form_for_wide_windows():
    chart = interval_chart([("long " * 10, *ROWS[0][1:])], name="Dice", x_label="mean Dice")
    narrow, wide = (float(re.search(r'viewBox="0 0 ([\d.]+) ', svg)[1]) for svg in (chart.svg, chart.wide_svg))
    assert wide > 1.7 * narrow
    assert "long " * 10 in chart.wide_svg
    assert "long " * 10 not in chart.svg


def test_series_differ_by_more_than_colour():
    svg = lines().svg
    assert "stroke-dasharray" in svg
    assert len(set(re.findall(r'href="#(m[0-9a-f]+)"', svg))) >= 2 + 2  # ticks and the markers of both


def test_one_kind_needs_no_legend():
    assert "own" not in words(interval_chart(ROWS[:2], name="Dice", x_label="mean Dice"))


def test_a_logarithmic_axis_has_plain_numbers_and_leaves_out_nothing_s_logarithm():
    chart = line_chart({"loss": [(1, 0.9), (2, 0.0), (3, 0.2)]}, name="l", x_label="x", y_label="y", log_y=True)
    assert {"0.2", "0.5"} <= set(words(chart))
    assert not any("$" in word or "e-" in word for word in words(chart))


def test_a_narrow_logarithmic_axis_has_enough_labels():
    chart = line_chart({"loss": [(1, 0.4), (2, 0.3), (3, 0.24)]}, name="l", x_label="x", y_label="y", log_y=True)
    assert len([tick for tick in ticks(chart) if 0.2 <= tick < 0.5]) >= 4


def test_marks_and_limits():
    chart = lines(y_limits=(0, 1), marks=[(3, 0.2, "best: 0.2")])
    assert {"best: 0.2", "0.0", "1.0"} <= set(words(chart))


@pytest.mark.filterwarnings("error")
def test_labels_from_files_are_drawn_as_they_are():
    label = "cost $\\frac{$ <b> & \N{CJK UNIFIED IDEOGRAPH-4E2D}"
    assert label in words(interval_chart([(label, 0.5, None, "own")], name="n", x_label="x"))


def test_control_characters_that_no_xml_can_hold_are_replaced():
    assert "ward\ufffd3" in words(interval_chart([("ward\x013", 0.5, None, "own")], name="Dice", x_label="Dice"))


def test_a_label_that_is_too_long_is_cut():
    assert any(word.endswith("\N{HORIZONTAL ELLIPSIS}") for word in words(interval_chart(
        [("long " * 30, 0.5, None, "own")], name="n", x_label="x"
    )))  # fmt: skip
