"""The server ends and is started again while somebody annotates: the work waits in the tab and is sent."""

import pytest
from playwright.sync_api import expect

from tests.annotator.browser.driving import LONGEST_MS, Annotator

pytestmark = pytest.mark.slow
GONE = "The annotator does not answer"
OTHER = 12
"""The image of a second tab: it is skipped, so that the first tab does not go on to an image that is held."""


@pytest.fixture
def tab(browser, project):
    """A tab at an image, whose server can be ended; and a function that starts another server at the same port."""
    running = pytest.importorskip("promise_seg.annotator.running")
    client = pytest.importorskip("promise_seg.annotator.client")
    context = browser.new_context()
    context.set_default_timeout(LONGEST_MS)
    page, servers = context.new_page(), [running.running(project)]
    access = servers[0].__enter__()
    with client.connect(access.address).open(OTHER) as image:
        if image.state == "open":
            image.skip()
    page.goto(f"{access.address}#image=1")

    def end():
        servers.pop().__exit__(None, None, None)

    def start():
        servers.append(running.running(project, running.Place(port=access.port)))
        return servers[-1].__enter__().address

    yield Annotator(page).ready(), end, start
    context.close()
    for one in servers:
        one.__exit__(None, None, None)


def test_work_waits_for_the_next_server(tab):
    annotator, end, start = tab
    page = annotator.page
    annotator.act(annotator.click, 12, 12)
    points = len(annotator.data("points"))
    end()
    annotator.press("Control+z")
    annotator.wait("state", "unsaved")
    trouble = page.locator("#trouble-text")
    expect(trouble).to_contain_text(GONE)
    expect(trouble).to_contain_text("1 change is kept in this tab")
    annotator.press("h")
    annotator.press("Control+Enter")
    expect(trouble).to_contain_text("3 changes are kept in this tab")
    address = start()
    page.locator("#trouble-retry").click()
    expect(trouble).to_contain_text("Open the new address")
    other = page.context.new_page()
    other.goto(f"{address}#image={OTHER}")
    Annotator(other).ready()
    page.bring_to_front()
    annotator.wait_for_change("image", 1)  # the tab sends what waits by itself
    annotator.ready()
    expect(page.locator("#trouble")).not_to_be_visible()
    done = annotator.served(1)
    assert done["state"] == "done"
    assert len(done["list"][0]["points"]) == points - 1
    assert done["list"][0]["hidden"]


def test_what_is_asked_for_twice_while_the_server_is_gone_is_done_once(tab):
    annotator, end, start = tab
    page = annotator.page
    page.locator("[data-image='3'] [role=option]").click()
    annotator.wait("image", 3)
    annotator.ready()
    end()
    annotator.press("Shift+Delete")
    annotator.wait("state", "unsaved")
    annotator.press("Shift+Delete", "Control+Enter", "Control+Enter")
    expect(page.locator("#status")).to_have_text("This is waiting to be saved already")
    expect(page.locator("#trouble-text")).to_contain_text("2 changes are kept in this tab")
    other = page.context.new_page()
    other.goto(f"{start()}#image={OTHER}")
    Annotator(other).ready()
    page.bring_to_front()
    annotator.wait_for_change("image", 3)
    annotator.ready()
    done = annotator.served(3)
    assert (done["state"], done["list"]) == ("done", [])


def test_training_that_cannot_begin_says_so(annotator, forgiven):
    forgiven.add("ERR_")
    page = annotator.page
    page.route("**/api/v1/training", lambda route: route.abort())
    page.locator("#learn").evaluate("(one) => one.click()")
    expect(page.locator("#trouble-text")).to_have_text(f"{GONE}. Is its terminal still open?")
