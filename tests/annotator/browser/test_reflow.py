"""In small windows, and in those that are zoomed in, every control is within reach and the image keeps a usable size.

A zoom of 200 % halves the size of the window in CSS pixels; 320 x 256 is what WCAG 1.4.10 (reflow) asks for.
"""

import pytest
from playwright.sync_api import expect

from tests.annotator.browser.test_volumes import volume, volumes

__all__ = ["volume", "volumes"]
pytestmark = pytest.mark.slow
SIZES = {
    "1024x700": (1024, 700),
    "800x600": (800, 600),
    "400x800": (400, 800),
    "1280x450": (1280, 450),
    "1440x900 at 200 %": (720, 450),
    "800x600 at 200 %": (400, 300),
    "1280x1024 at 400 %": (320, 256),
}
"""Width and height of the window in CSS pixels."""
SMALLEST = 150
"""The least height of the canvas in CSS pixels."""
TOOLS = [f".tool[data-tool={name}]" for name in ("point", "box", "brush", "eraser", "polygon", "pan")]
MAIN = ["#show-keys", "#theme", *TOOLS, "#undo", "#redo", "#fit", "[name=label][value='0'] + span", "#flip-point"]
MAIN += ["#delete-point", "#automatic", "#accept-object", "#accept-image", "#skip-image"]
IN_IMAGES = ["#filter", "#image-list li:last-child button", "#export"]
IN_SIDE = ["#new-object", "#object-list .choose", "[data-key^=refine]", ".file", "#opacity", "#outline-only", "#facts"]
OF_SLICES = ["#slice-back", "#slice", "#slice-on", "[data-offer=mask]", "#propagate", "#propagate-last"]
OF_SLICES += ["#propagate-source", "#window-reset"]
IS_WHOLE = """(one) => {
    const below = one.scrollHeight - one.clientHeight; // letters of some fonts are taller than their line
    return below < parseFloat(getComputedStyle(one).lineHeight) / 2 && one.scrollWidth <= one.clientWidth; }"""
IS_INSIDE = """(ids) => {
    const [one, other] = ids.map((id) => document.getElementById(id).getBoundingClientRect());
    const isAcross = one.left >= other.left && one.right <= other.right;
    return isAcross && one.top >= other.top && one.bottom <= other.bottom; }"""
IS_UNDER_POINTER = """(one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    return found !== null && (one.contains(found) || found.contains(one) && found.matches('label')); }"""


def check_within_reach(page, *selectors):
    """Each of the controls can be scrolled into the window, and nothing lies on it."""
    for selector in selectors:
        one = page.locator(selector).first
        one.evaluate("(one) => one.scrollIntoView({ block: 'nearest' })")
        expect(one, selector).to_be_in_viewport(ratio=0.95)
        assert one.evaluate(IS_UNDER_POINTER), selector


def check_panel(page, name, *selectors):
    """The controls of a panel, which is opened where it is a drawer."""
    opener = page.locator(f"#show-{name}")
    is_drawer = opener.is_visible()
    if is_drawer:
        opener.scroll_into_view_if_needed()
        opener.click()
    check_within_reach(page, *selectors)
    if is_drawer:
        page.keyboard.press("Escape")


@pytest.fixture(params=list(SIZES))
def size(request):
    return SIZES.get(request.param, request.param)


def test_every_control_is_within_reach(open_page, size):
    page = open_page(*size, image=1).page
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.locator("#canvas").bounding_box()["height"] >= SMALLEST
    check_within_reach(page, *MAIN)
    check_panel(page, "images", *IN_IMAGES)
    check_panel(page, "objects", *IN_SIDE)


def test_an_image_is_corrected_and_accepted_in_the_smallest_window(open_page):
    page = (annotator := open_page(320, 256)).page
    page.locator("#canvas").evaluate("(one) => one.scrollIntoView({ block: 'start' })")
    annotator.act(annotator.click, 4, 4)  # where no point is
    number = annotator.data("image")
    page.locator("#accept-image").click()
    annotator.wait_for_change("image", number)
    annotator.ready()
    assert annotator.served(number)["state"] == "done"


@pytest.mark.parametrize("size", [(400, 800), (320, 256)], indirect=True)
def test_long_messages_are_shown_whole_in_narrow_windows(open_page, size):
    """They were once cut off after the first line."""
    page = (annotator := open_page(*size)).page
    annotator.press("n", "b")
    page.locator("#canvas").evaluate("(one) => one.scrollIntoView({ block: 'start' })")
    annotator.act(annotator.drag, (10, 20), (30, 20))
    before = page.locator("#stage").bounding_box()
    for _ in annotator.served()["list"]:
        annotator.act(annotator.press, "Enter")
    status = page.locator("#status")
    expect(status).to_have_text("Accepted. The next prompt begins a new object; Ctrl+Enter accepts the image")
    expect(status).to_have_attribute("title", status.inner_text())
    assert status.evaluate(IS_WHOLE)
    assert page.locator("#stage").bounding_box() == before  # nothing moves under the pointer


def test_a_long_name_of_a_class_does_not_lie_under_the_buttons_of_its_row(open_page):
    page = (annotator := open_page(800, 600)).page
    annotator.press("n", "b", "2")
    annotator.act(annotator.drag, (10, 20), (30, 20))
    annotator.press("n")
    choose = page.locator("#object-list .choose").first
    expect(choose).to_contain_text(", ")
    assert choose.evaluate("(one) => one.scrollWidth <= one.clientWidth")


@pytest.mark.parametrize("volume", ["a."], indirect=True)
def test_slices_are_within_reach(volume):
    page = volume.page
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        expect(page.locator("#propagate")).to_be_enabled()
        assert page.locator("#canvas").bounding_box()["height"] >= SMALLEST
        check_within_reach(page, *OF_SLICES[:-1])
        check_panel(page, "objects", OF_SLICES[-1])


@pytest.mark.parametrize("volume", ["a."], indirect=True)
def test_a_message_covers_no_control(volume):
    """It once lay on the bar of volumes and on the buttons that end an image."""
    page = volume.page
    for width, height in ((1280, 800), (1000, 800), (768, 900), (420, 800)):
        page.set_viewport_size({"width": width, "height": height})
        page.locator("#mask-file").set_input_files({"name": "a" * 60, "mimeType": "image/png", "buffer": b"nothing"})
        expect(page.locator("#trouble-text")).to_contain_text("is not a PNG file")
        page.wait_for_function(IS_INSIDE, arg=["trouble", "stage"])
        check_within_reach(page, *OF_SLICES[:-1], "#trouble-close", "#accept-object", "#accept-image", "#skip-image")
        page.locator("#trouble-close").click()
        expect(page.locator("#trouble")).not_to_be_visible()


def test_the_selected_row_of_images_is_whole(open_page):
    """Its right border was once cut off by a part of a pixel."""
    row = open_page().page.locator("#image-list [aria-current=true]")
    edges = "(one) => { const box = one.getBoundingClientRect(); return [box.left, box.right]; }"
    (left, right), (outer_left, outer_right) = row.evaluate(edges), row.locator("xpath=..").evaluate(edges)
    assert left >= outer_left + 1
    assert right <= outer_right - 1


def test_the_help_can_be_closed_however_far_it_is_scrolled(open_page):
    page = open_page(420, 800).page
    page.locator("#show-keys").click()
    page.locator("#reset-keys").scroll_into_view_if_needed()
    close = page.locator("#close-keys")
    expect(close).to_be_in_viewport(ratio=1)
    close.click()
    expect(page.locator("#keys")).not_to_be_visible()


@pytest.mark.parametrize("tool", ["point", "box"])
def test_selecting_a_point_moves_nothing_under_the_pointer(open_page, tool):
    annotator = open_page(400, 560)
    annotator.tool(tool)
    before = annotator.page.locator("#stage").bounding_box()
    annotator.page.locator("#canvas").focus()
    annotator.press("w")
    expect(annotator.page.locator("#delete-point")).to_be_enabled()
    assert annotator.page.locator("#stage").bounding_box() == before
