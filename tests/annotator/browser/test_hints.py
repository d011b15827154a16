"""What a person who sees the page for the first time is told."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow
HINTS = {
    "[data-tool=point]": "Points (P): click on the object",
    "[data-tool=box]": "Box (R): drag a box",
    "#automatic": "Back to automatic (Q): discard",
    "#accept-image": "Accept image, next (Ctrl+Enter): save the mask",
    "#skip-image": "Skip image (S): leave this image out",
    "#fit": "Fit the image (0)",
}
"""How the titles of buttons begin."""


def test_buttons_say_what_they_do_and_their_keys(annotator):
    for selector, says in HINTS.items():
        title = annotator.page.locator(f"button{selector}").get_attribute("title")
        assert title is not None
        assert title.startswith(says), selector
    tools = annotator.page.locator(".tool[data-tool]")
    assert all(": " in str(one.get_attribute("title")) for one in tools.all())


def test_the_page_says_how_to_begin(annotator):
    status = annotator.page.locator("#status")
    expect(status).to_have_text("Ready: click to add a point, or drag one. Press ? for help")
    annotator.page.locator("#show-keys").click()
    dialog = annotator.page.get_by_role("dialog", name="Help and keys")
    expect(dialog.locator("#help")).to_contain_text("accept the image")
