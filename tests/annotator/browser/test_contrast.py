"""In forced colours, as in the high contrast of Windows, states are visible without their backgrounds."""

import pytest

pytestmark = pytest.mark.slow
SHOWN = """(one) => {
    const { borderColor, borderWidth, outlineColor, outlineStyle, outlineWidth } = getComputedStyle(one);
    return [borderColor, borderWidth, outlineStyle === 'none' ? '' : outlineColor + outlineWidth].join(' '); }"""
SIGN = """(one) => {
    const { backgroundColor, forcedColorAdjust } = getComputedStyle(one, '::before');
    return { filled: backgroundColor, forced: forcedColorAdjust }; }"""
"""The sign before the state of an image: a browser shows its computed colours only if they are not forced."""
GROUND = """(one) => { one.append(Object.assign(document.createElement('i'), { id: 'ground' }));
    const ground = document.getElementById('ground'); ground.style.backgroundColor = 'Canvas';
    const found = getComputedStyle(ground).backgroundColor; ground.remove(); return found; }"""
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


def is_clear(colour):
    """Whether a computed colour is transparent."""
    return colour == "transparent" or (colour.startswith("rgba") and colour.endswith(", 0)"))


def test_what_is_done_is_filled(open_page):
    annotator = open_page(forced_colors="active")
    number = annotator.data("image")
    annotator.press("Control+Enter")
    annotator.wait_for_change("image", number)
    annotator.ready()
    done, opened = (annotator.page.locator(f"[data-image-state={one}] .state").first for one in ("done", "open"))
    ground = annotator.page.locator("#images").evaluate(GROUND)
    sign = done.evaluate(SIGN)
    assert sign["forced"] == "none", "otherwise the browser takes the colour away"
    assert sign["filled"] != ground
    assert not is_clear(sign["filled"])
    assert is_clear(opened.evaluate(SIGN)["filled"])


def test_the_focus_is_seen_on_what_is_chosen(open_page):
    annotator = open_page(forced_colors="active")
    tool = annotator.page.locator(".tool[aria-pressed=true]")
    before = tool.evaluate(SHOWN)
    tool.focus()
    annotator.press("Shift+Tab", "Tab")
    assert tool.evaluate(SHOWN) != before
