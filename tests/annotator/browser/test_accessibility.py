"""No violation of what axe-core checks, in any state of the page, in both themes, wide and narrow."""

import pytest
from playwright.sync_api import expect

from tests.annotator.browser.test_volumes import volume, volumes

__all__ = ["volume", "volumes"]
pytestmark = pytest.mark.slow
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
LEARNING = {
    "offered": {"state": "idle", "offered": True},
    "running": {"state": "running", "progress": {"stage": "training", "done": 3, "total": 9, "note": "epoch 1/3"}},
    "interrupted": {"state": "interrupted", "offered": True},
    "failed": {"state": "failed", "reason": "the disk is full"},
}
"""Facts of training that differ from those of a project that has learned nothing."""


def violations(page):
    """The rules that are broken, and where."""
    found = axe.Axe().run(page).response["violations"]
    return [(one["id"], node["target"], node.get("failureSummary")) for one in found for node in one["nodes"]]


@pytest.fixture(params=["dark", "light"])
def scheme(request):
    return request.param


def drawer(annotator, name):
    """Open a panel where it is a drawer; it is closed by Escape."""
    annotator.page.locator(f"#show-{name}").click()
    expect(annotator.page.locator({"images": "#images", "objects": "#side"}[name])).to_be_visible()


def test_all_panels(open_page, scheme):
    annotator = open_page(color_scheme=scheme)
    page = annotator.page
    assert violations(page) == []
    annotator.press("n", "2")
    annotator.act(annotator.click, 70, 20)
    annotator.act(annotator.press, "l")
    annotator.act(annotator.press, "h")
    annotator.press("g")
    annotator.click(20, 20)
    assert violations(page) == [], "an object that is locked and hidden, and a polygon that was begun"
    annotator.press("Escape", "?")
    expect(page.locator("#keys")).to_be_visible()
    assert violations(page) == [], "all keys"
    page.set_viewport_size({"width": 400, "height": 800})
    assert violations(page) == [], "all keys, narrow"
    annotator.press("Escape")
    for name in ("objects", "images"):
        drawer(annotator, name)
        assert violations(page) == [], name
        annotator.press("Escape")


def test_messages(open_page, scheme, forgiven):
    forgiven |= {"ERR_", "status of 409"}
    annotator = open_page(color_scheme=scheme)
    second = open_page(image=annotator.data("image"), color_scheme=scheme)
    expect(second.page.locator("#trouble")).to_be_visible()
    assert violations(second.page) == [], "somebody else has the image"
    annotator.page.route("**/actions", lambda route: route.abort())
    annotator.click(40, 4)
    expect(annotator.page.locator("#trouble")).to_be_visible()
    assert violations(annotator.page) == [], "not saved"
    annotator.page.unroute("**/actions")
    annotator.ready()


def answering(facts):
    return lambda route: route.fulfill(json=facts)


def test_learning(open_page, scheme):
    page = (annotator := open_page(image=9, color_scheme=scheme)).page
    facts = page.evaluate("async () => (await fetch('/api/v1/training')).json()")
    for state, others in LEARNING.items():
        page.unroute("**/api/v1/training")
        page.route("**/api/v1/training", answering(facts | others))
        page.reload()
        annotator.ready()
        expect(page.locator("#learning")).to_be_visible()
        assert violations(page) == [], state


@pytest.mark.parametrize("volume", ["a."], indirect=True)
def test_slices_and_propagation(volume, scheme):
    page = volume.page
    page.emulate_media(color_scheme=scheme)
    page.locator("#slice").fill("3")
    volume.wait("slice", 3)
    volume.ready()
    assert violations(page) == []
    page.set_viewport_size({"width": 400, "height": 800})
    assert violations(page) == []
