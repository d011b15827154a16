"""Brush, eraser and polygon: what is painted is in the mask, pixel for pixel."""

import numpy as np
import pytest

from promise_seg.annotator.bits import MaskBits
from tests.annotator.browser.conftest import SIDE

pytestmark = pytest.mark.slow


def mask_of(served):
    """The mask of one object, (H, W) bool."""
    return MaskBits.from_json(served["mask"]).mask(SIDE, SIDE)


def only_mask(annotator):
    (served,) = annotator.served()["list"]
    return mask_of(served)


def disc(x, y, radius):
    columns, rows = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    return np.hypot(columns - x, rows - y) <= radius


def set_size(annotator, size):
    annotator.page.locator("#brush-size").fill(str(size))


def test_brush_and_eraser_change_the_pixels_under_them(annotator):
    before = only_mask(annotator)
    annotator.press("b")
    set_size(annotator, 10)
    annotator.act(annotator.click, 80, 80)
    painted = only_mask(annotator)
    changed = disc(80, 80, 5)
    assert np.array_equal(painted[disc(80, 80, 4)], np.ones(disc(80, 80, 4).sum(), bool))
    assert np.array_equal(painted[~disc(80, 80, 6)], before[~disc(80, 80, 6)])
    assert changed.sum() > 60
    annotator.press("e")
    annotator.act(annotator.drag, (0, 48), (SIDE - 1, 48))
    erased = only_mask(annotator)
    assert not erased[45:52].any()
    assert np.array_equal(erased[60:], painted[60:])


def test_the_right_button_erases_with_the_brush(annotator):
    annotator.press("b")
    set_size(annotator, 12)
    annotator.act(annotator.click, 20, 20)
    assert only_mask(annotator)[20, 20]
    annotator.act(annotator.click, 20, 20, button="right")
    assert not only_mask(annotator)[20, 20]


def test_a_polygon_adds_or_erases_what_is_inside(annotator):
    annotator.press("g")
    annotator.page.get_by_text("Erases").click()
    for corner in ((0, 0), (SIDE - 1, 0), (SIDE - 1, SIDE - 1), (0, SIDE - 1)):
        annotator.click(*corner)
    annotator.act(annotator.press, "Enter")
    assert not only_mask(annotator).any()
    annotator.page.get_by_text("Adds", exact=True).click()
    for corner in ((20, 20), (70, 20), (70, 60)):
        annotator.click(*corner)
    annotator.press("Backspace")
    annotator.click(70, 50)
    annotator.click(20, 50)
    annotator.act(annotator.click, 20, 20)
    expected = np.zeros((SIDE, SIDE), bool)
    expected[21:51, 20:71] = True
    difference = only_mask(annotator) ^ expected
    assert difference[:, 22:69][22:49].sum() == 0
    assert difference.sum() <= 2 * (51 + 31)


def test_escape_leaves_no_trace_of_what_was_begun(annotator):
    revision, mask = annotator.data("revision"), annotator.masks()
    annotator.press("g")
    annotator.click(10, 10)
    annotator.click(50, 10)
    annotator.press("Escape", "b")
    annotator.grab(20, 20)
    annotator.hover(60, 60)
    annotator.press("Escape")
    annotator.page.mouse.up()
    annotator.press("p")
    annotator.grab(30, 5)
    annotator.hover(60, 60)
    annotator.press("Escape")
    annotator.page.mouse.up()
    annotator.ready()
    assert annotator.data("revision") == revision
    assert annotator.masks() == mask


def test_painting_begins_an_object_where_none_is_chosen(annotator):
    annotator.press("n", "2", "b")
    annotator.act(annotator.drag, (10, 10), (30, 10))
    *_, added = annotator.served()["list"]
    assert added["class"] == 2
    assert mask_of(added)[10, 10:31].all()
    assert annotator.data("active") == added["id"]
