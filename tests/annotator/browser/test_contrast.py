"""In forced colours, as in the high contrast of Windows, states are visible without their backgrounds."""

import io

import pytest
from PIL import Image

pytestmark = pytest.mark.slow
SHOWN = """(one) => {
    const { borderColor, borderWidth, outlineColor, outlineStyle, outlineWidth } = getComputedStyle(one);
    return [borderColor, borderWidth, outlineStyle === 'none' ? '' : outlineColor + outlineWidth].join(' '); }"""
PAIRS = {
    "tool": (".tool[aria-pressed=true]", ".tool[aria-pressed=false]"),
    "label": ("[name=label]:checked + span", "[name=label]:not(:checked) + span"),
    "image": ("#image-list button[aria-current=true]", "#image-list button[aria-current=false]"),
    "object": (".object[data-active]", ".object:not([data-active])"),
    "lock": ("[data-key^=locked][aria-pressed=true]", "[data-key^=locked][aria-pressed=false]"),
    "candidate": ("#candidates input:checked + span", "#candidates input:not(:checked) + span"),
}
"""What is chosen, and its counterpart that is not."""


def test_what_is_chosen_has_another_border(open_page):
    annotator = open_page(forced_colors="active")
    page = annotator.page
    annotator.press("n")
    annotator.act(annotator.click, 12, 12)
    annotator.act(annotator.press, "l")
    page.locator("#canvas").focus()
    for name, (chosen, other) in PAIRS.items():
        assert page.locator(chosen).first.evaluate(SHOWN) != page.locator(other).first.evaluate(SHOWN), name


def middle_of_sign(annotator, state):
    """The colour in the middle of the sign before the state of an image."""
    row = annotator.page.locator(f"[data-image-state={state}] .state").first
    row.scroll_into_view_if_needed()
    box = row.bounding_box()
    clip = {"x": box["x"] + 4, "y": box["y"] + box["height"] / 2 - 1, "width": 2, "height": 2}
    return Image.open(io.BytesIO(annotator.page.screenshot(clip=clip))).convert("RGB").getpixel((1, 1))


def test_what_is_done_is_filled(open_page):
    annotator = open_page(forced_colors="active")
    number = annotator.data("image")
    annotator.press("Control+Enter")
    annotator.wait_for_change("image", number)
    annotator.ready()
    assert middle_of_sign(annotator, "done") != middle_of_sign(annotator, "open")


def test_the_focus_is_seen_on_what_is_chosen(open_page):
    annotator = open_page(forced_colors="active")
    tool = annotator.page.locator(".tool[aria-pressed=true]")
    before = tool.evaluate(SHOWN)
    tool.focus()
    annotator.press("Shift+Tab", "Tab")
    assert tool.evaluate(SHOWN) != before
