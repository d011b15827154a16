"""Everything works by the keyboard alone."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def focused(annotator):
    """What has the focus: its id, or its name."""
    return annotator.page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


def test_an_image_is_corrected_and_accepted_by_keys(annotator):
    number, count = annotator.data("image"), len(annotator.data("points"))
    annotator.page.locator("#canvas").focus()
    annotator.press(*["ArrowLeft"] * 3, *["Shift+ArrowUp"] * 2)
    annotator.act(annotator.press, "a")
    annotator.press("Shift+ArrowRight")
    annotator.act(annotator.press, "Shift+A")
    first, second = annotator.data("points")[count:]
    assert (first[2], second[2]) == (1, 0)
    assert (second[0] - first[0], second[1] - first[1]) == (10, 0)
    annotator.press("Escape", "Shift+W")
    annotator.act(annotator.press, "ArrowDown")
    assert annotator.data("points")[-1] == [second[0], second[1] + 1, 0]
    annotator.act(annotator.press, "t")
    annotator.act(annotator.press, "Delete")
    annotator.press("r", "Shift+ArrowLeft")
    annotator.press("a", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown")
    annotator.act(annotator.press, "a")
    left, top, right, bottom = annotator.data("box")
    assert (right - left, bottom - top) == (20, 10)
    annotator.press("b", "a", *["ArrowRight"] * 4)
    annotator.act(annotator.press, "a")
    annotator.press("g")
    for key in ("Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft"):
        annotator.press("a", key)
    annotator.act(annotator.press, "Enter")
    annotator.act(annotator.press, "Control+z")
    annotator.press("Control+Enter")
    annotator.wait_for_change("image", number)
    annotator.ready()
    expect(annotator.page.locator(f"[data-image='{number}']")).to_have_attribute("data-image-state", "done")
    annotator.press("F")
    annotator.ready()


def test_tab_leaves_the_canvas_in_both_directions(annotator):
    annotator.page.locator("#canvas").focus()
    annotator.press("Tab")
    after = focused(annotator)
    annotator.press("Shift+Tab")
    assert focused(annotator) == "canvas"
    annotator.press("Shift+Tab")
    assert focused(annotator) not in ("canvas", after)
    assert annotator.data("revision") is not None


STOPS = """() => [...document.querySelectorAll('a[href], button, input, select, [tabindex]')].filter((one) =>
    one.tabIndex >= 0 && !one.matches(':disabled, [type=radio]:not(:checked)') && one.checkVisibility()).length"""
"""How many stops of Tab there should be; arrow keys reach the rest of lists and bars (test_roving.py)."""


def test_every_control_can_be_reached_and_has_a_name(annotator):
    names, seen = [], set()
    annotator.page.locator("#show-keys").focus()
    for _ in range(120):
        annotator.press("Tab")
        found = annotator.page.evaluate(
            "(() => { const one = document.activeElement; window.numbers ??= new Map();"
            " if (!window.numbers.has(one)) window.numbers.set(one, window.numbers.size);"
            " return [window.numbers.get(one), one.getAttribute('aria-label') || one.textContent.trim()"
            " || one.labels?.[0]?.textContent.trim() || '']; })()"
        )
        if found[0] in seen and len(seen) > 10:
            break
        seen.add(found[0])
        names.append(found[1])
    stops = annotator.page.evaluate(STOPS)
    assert stops > 15
    assert len(seen) >= stops
    assert all(names), names


def test_keys_are_shown_and_can_be_changed(annotator):
    annotator.page.locator("#canvas").focus()
    annotator.press("?")
    dialog = annotator.page.locator("#keys")
    expect(dialog).to_be_visible()
    dialog.locator("[data-command=tool-brush]").click()
    annotator.press("z")
    expect(dialog.locator("[data-command=tool-brush]")).to_have_text("Z")
    annotator.press("Escape")
    expect(dialog).not_to_be_visible()
    annotator.press("z")
    annotator.wait("tool", "brush")
    annotator.press("p", "b")
    annotator.wait("tool", "point")
    annotator.page.reload()
    annotator.ready()
    annotator.press("z")
    annotator.wait("tool", "brush")
    annotator.press("F1")
    dialog.locator("#reset-keys").click()
    annotator.press("Escape", "p", "b")
    annotator.wait("tool", "brush")


PRESS = """(keys) => document.getElementById('canvas').dispatchEvent(
    new KeyboardEvent('keydown', { bubbles: true, cancelable: true, ...keys }))"""
ALT_GR = {"linux": {"modifierAltGraph": True}, "windows": {"modifierAltGraph": True, "ctrlKey": True, "altKey": True}}


@pytest.mark.parametrize("system", list(ALT_GR))
def test_a_character_that_needs_alt_gr_is_that_character(annotator, system):
    """As on a German keyboard, where "[" and "]" are on the digits 8 and 9."""
    status, size = annotator.page.locator("#status"), annotator.page.locator("#brush-size-text")
    annotator.press("b")
    annotator.page.evaluate(PRESS, {"key": "]", "code": "Digit9", **ALT_GR[system]})
    expect(status).to_have_text("Brush of 14 pixels")
    annotator.page.evaluate(PRESS, {"key": "[", "code": "Digit8", **ALT_GR[system]})
    expect(size).to_have_text("12 px")
    revision = annotator.data("revision")
    annotator.page.evaluate(PRESS, {"key": "{", "code": "Digit2", **ALT_GR[system]})
    annotator.page.evaluate(PRESS, {"key": "\u00b2", "code": "Digit3", "altKey": True})
    annotator.act(annotator.press, "h")  # answered after whatever the keys sent
    assert annotator.data("revision") == revision + 1
    annotator.page.evaluate(PRESS, {"key": "\u00e9", "code": "Digit2"})  # as on a French keyboard
    annotator.revision_after(1, revision + 1)
    assert annotator.served()["list"][0]["class"] == 2


def test_keys_in_a_field_are_the_fields(annotator):
    revision = annotator.data("revision")
    annotator.page.locator("#filter").focus()
    annotator.press("b", "h", "Delete")
    annotator.page.locator("#opacity").focus()
    annotator.press("ArrowRight")
    expect(annotator.page.locator("#opacity-text")).to_have_text("40 %")
    annotator.ready()
    assert annotator.data("tool") == "point"
    assert annotator.data("revision") == revision


def test_the_status_says_which_image_was_finished_and_which_is_open(annotator):
    name = annotator.page.locator("#image-name").inner_text()
    annotator.press("n")  # says something that is of this image alone
    annotator.press("Control+Enter")
    status = annotator.page.locator("#status")
    expect(status).to_contain_text(f"Accepted {name}. ")
    annotator.ready()
    count = annotator.data("objects")
    shown = f"{annotator.page.locator('#image-name').inner_text()}: {count} object{'' if count == 1 else 's'}"
    expect(status).to_have_text(f"Accepted {name}. {shown}")


def test_what_is_said_while_the_list_is_on_its_way_stays(annotator):
    page, lists = annotator.page, []

    def keep_the_second(route):
        lists.append(route)
        if len(lists) != 2:
            route.fallback()

    page.route("**/images?order=trust", keep_the_second)
    page.reload()
    annotator.ready()
    annotator.wait_until(lambda: len(lists) == 2)
    annotator.press("n")
    with page.expect_response("**/images?order=trust"):
        lists[1].continue_()
    annotator.served()  # an answer that the page has after the other
    expect(page.locator("#status")).to_have_text("New object: the next prompt begins it")


def test_leaving_the_image_by_tab_leaves_nothing_waiting(annotator):
    status = annotator.page.locator("#status")
    expect(status).to_contain_text("Ready")  # which is said last of all
    annotator.page.locator("#canvas").focus()
    annotator.page.keyboard.down("Tab")
    expect(status).to_have_text("The model waits until the key is released")
    annotator.page.keyboard.up("Tab")
    expect(status).to_have_text("")
