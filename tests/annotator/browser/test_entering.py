"""Entering through a link on a page of another site, as in a chat: the browser holds the cookie back there."""

import re

import pytest
from playwright.sync_api import expect

from tests.annotator.browser.driving import LONGEST_MS, Annotator

pytestmark = pytest.mark.slow
CHAT = "http://chat.example/"


@pytest.fixture
def chat(browser):
    """Opens a link in a page of another site."""
    context = browser.new_context()
    context.set_default_timeout(LONGEST_MS)
    page = context.new_page()

    def follow(link):
        page.unroute(CHAT)
        page.route(CHAT, lambda route: route.fulfill(content_type="text/html", body=f'<a href="{link}">Here</a>'))
        page.goto(CHAT)
        page.get_by_text("Here").click()
        return page

    yield follow
    context.close()


def test_a_fresh_link_leads_to_the_page_and_others_lead_there_after_a_click(chat, access):
    target = f"http://127.0.0.1:{access.port}/?user=bob#image=2"
    fresh = f"{access.address}&user=bob#image=2"
    for address, needs_a_click in ((fresh, False), (fresh, True), (target, True)):
        page = chat(address)
        if needs_a_click:
            expect(page.locator("#message")).to_contain_text("If this browser has signed in already, continue.")
            link = page.get_by_role("link", name="Continue to the annotator")
            expect(link).to_have_attribute("href", target)  # once the script has run
            link.click()
        assert Annotator(page).ready().data("image") == 2
        assert page.url == target


def test_a_used_link_says_what_is_needed(chat, access):
    link = access.address
    access.exchange(access.token)
    page = chat(link)
    expect(page.locator("body")).to_contain_text("This address was used already, or is not complete. Open the newest")
    page.get_by_role("link", name="Continue to the annotator").click()
    expect(page.locator("body")).to_have_text(re.compile("^Open the newest address .* each works once$"))
