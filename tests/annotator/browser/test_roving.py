"""Bars and lists have one Tab stop each, and arrow keys, Home and End inside (ARIA Authoring Practices Guide)."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow
GROUPS = {"tools": "#tools", "images": "#image-list", "objects": "#object-list"}
OUTLINE = """() => { const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    return outlineStyle === 'none' ? 0 : parseFloat(outlineWidth); }"""
STOPS = """(group) => [...document.querySelectorAll(`${group} :is(button, input, [role=option])`)]
    .filter((one) => one.tabIndex === 0 && !one.disabled).length"""
NAME = "document.activeElement.dataset.tool ?? document.activeElement.dataset.key ?? document.activeElement.id"


def focused(annotator):
    """The name of what has the focus, which is visible there."""
    assert annotator.page.evaluate(OUTLINE) >= 2
    return annotator.page.evaluate(NAME)


def after(annotator, *keys):
    annotator.press(*keys)
    return focused(annotator)


@pytest.fixture(params=["none", "active"], ids=["colours", "forced-colours"])
def with_objects(request, open_page):
    """The page with three objects, the last of which is active."""
    annotator = open_page(forced_colors=request.param)
    for place in ((12, 12), (84, 84)):
        annotator.press("n")
        annotator.act(annotator.click, *place)
    return annotator


@pytest.mark.parametrize("name", list(GROUPS))
def test_a_group_is_one_stop(with_objects, name):
    page = with_objects.page
    assert page.evaluate(STOPS, GROUPS[name]) == 1
    page.locator(f"{GROUPS[name]} [tabindex='0']").focus()
    with_objects.press("ArrowDown", "ArrowRight")
    assert page.evaluate(STOPS, GROUPS[name]) == 1
    with_objects.press("Tab")
    assert not page.evaluate(f"document.querySelector('{GROUPS[name]}').contains(document.activeElement)") or (
        name == "objects" and page.evaluate("document.activeElement.tagName") == "SELECT"
    )


def test_arrows_go_through_the_tools_and_letters_still_choose_them(with_objects):
    page = with_objects.page
    page.locator(".tool[data-tool=point]").focus()
    assert after(with_objects, "ArrowRight") == "box"
    assert after(with_objects, "End") == "fit"
    assert after(with_objects, "ArrowRight") == "fit"
    assert after(with_objects, "ArrowLeft", "ArrowLeft") in ("undo", "pan")  # what cannot be redone is passed over
    assert after(with_objects, "Home") == "point"
    assert with_objects.data("tool") == "point", "arrows choose no tool"
    with_objects.press("ArrowRight", "Enter")
    with_objects.wait("tool", "box")
    with_objects.press("b")
    with_objects.wait("tool", "brush")
    with_objects.press("Tab")
    page.locator("#theme").focus()
    expect(page.locator(".tool[data-tool=brush]")).to_have_attribute("tabindex", "0")


def test_arrows_go_through_the_images_and_enter_opens_one(with_objects):
    page, number = with_objects.page, with_objects.data("image")
    order = [int(one.get_attribute("data-image")) for one in page.locator("#image-list [data-image]").all()]
    page.locator("#filter").focus()
    assert after(with_objects, "Tab") == f"image-{number}"
    assert after(with_objects, "Home") == f"image-{order[0]}"
    assert after(with_objects, "ArrowUp") == f"image-{order[0]}"
    assert after(with_objects, "ArrowDown") == f"image-{order[1]}"
    assert after(with_objects, "End") == f"image-{order[-1]}"
    assert with_objects.data("image") == number, "arrows open no image"
    other = next(one for one in (order[0], order[-1]) if one != number)
    with_objects.press("Home" if other == order[0] else "End", "Enter")
    with_objects.wait("image", other)
    with_objects.ready()
    assert page.evaluate("document.activeElement.id") == "canvas"


def test_arrows_go_through_the_rows_of_objects_and_their_controls(with_objects):
    page, active = with_objects.page, with_objects.data("active")
    first, second, third = sorted(one["id"] for one in with_objects.served()["list"])
    page.locator("#new-object").focus()
    assert after(with_objects, "Tab") == f"choose-{active}"
    assert after(with_objects, "ArrowUp") == f"choose-{second}"
    assert after(with_objects, "ArrowRight") == f"hidden-{second}"
    assert after(with_objects, "ArrowUp") == f"hidden-{first}"
    assert after(with_objects, "End") == f"delete-{first}"
    assert after(with_objects, "Home") == f"colour-{first}"
    assert after(with_objects, "Control+End") == f"refine-{third}"
    assert after(with_objects, "Control+Home") == f"colour-{first}"
    assert with_objects.data("active") == active, "arrows choose no object"
    with_objects.press("ArrowRight", "Enter")
    with_objects.wait("active", first)


def test_arrows_go_through_the_keys(with_objects):
    with_objects.press("?")
    dialog = with_objects.page.locator("#keys")
    expect(dialog).to_be_visible()
    dialog.locator("#close-keys").focus()
    with_objects.press("Tab")
    command = "document.activeElement.dataset.command"
    assert with_objects.page.evaluate(command) == "tool-point"
    with_objects.press("ArrowDown")
    assert with_objects.page.evaluate(command) == "tool-box"
    with_objects.press("Tab")
    assert focused(with_objects) == "reset-keys"
