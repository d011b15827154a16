"""What was begun on one image stays with it, or ends: it never reaches the image that is opened next."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

SLOW_PACKING = """() => { const Packing = window.CompressionStream;
    const gate = new Promise((open) => (window.openGate = open));
    window.CompressionStream = function (kind) {
        const { readable, writable } = new Packing(kind);
        const wait = new TransformStream({ transform: (part, on) => gate.then(() => on.enqueue(part)) });
        return { writable, readable: readable.pipeThrough(wait) };
    }; }"""


def choose(annotator, number):
    annotator.page.locator(f"li[data-image='{number}'] button").click()


def far_from(annotator):
    """An image whose picture is not there yet: that of the next one in the list is fetched ahead."""
    rows = annotator.page.locator("#image-list [data-image]").all()
    order = [int(one.get_attribute("data-image")) for one in rows]
    return order[(order.index(annotator.data("image")) + 4) % len(order)]


def arrive(annotator, number):
    annotator.wait("image", number)
    annotator.ready()


def test_a_stroke_is_saved_although_another_image_is_chosen_at_once(annotator, next_image):
    number, other = annotator.data("image"), next(next_image)
    annotator.page.evaluate(SLOW_PACKING)
    annotator.press("b")
    annotator.drag((5, 90), (30, 90))
    choose(annotator, other)
    annotator.page.evaluate("window.openGate()")
    arrive(annotator, other)
    assert annotator.served(number)["list"][0]["painted"]
    assert not any(one["painted"] for one in annotator.served()["list"])


def test_prompts_that_wait_for_the_key_stay_off_the_next_image(annotator, next_image):
    other = next(next_image)
    annotator.page.locator("#canvas").focus()
    annotator.page.keyboard.down("Tab")
    annotator.click(40, 4)
    choose(annotator, other)
    arrive(annotator, other)
    before = annotator.served()
    annotator.page.keyboard.up("Tab")
    annotator.act(annotator.click, 60, 4)
    first = annotator.served()["list"][0]["points"]
    assert first[:-1] == before["list"][0]["points"]


def test_a_polygon_that_was_begun_ends_with_its_image(annotator, next_image):
    other = next(next_image)
    annotator.press("g")
    for corner in ((5, 5), (30, 5), (30, 30)):
        annotator.click(*corner)
    choose(annotator, other)
    arrive(annotator, other)
    annotator.act(annotator.press, "Enter")  # accepts the object: there is no polygon to close
    assert annotator.served()["list"][0]["accepted"]
    assert not annotator.served()["list"][0]["painted"]


def test_the_picture_is_fetched_again_after_it_did_not_arrive(annotator, forgiven):
    forgiven.add("ERR_")
    page, other = annotator.page, far_from(annotator)
    page.route("**/pixels*", lambda route: route.abort())
    choose(annotator, other)
    annotator.wait("image", other)
    again = page.get_by_role("button", name="Try again")
    again.wait_for()
    page.unroute("**/pixels*")
    again.click()
    arrive(annotator, other)
    assert annotator.drawn("image") > 500


def test_an_address_that_is_changed_by_hand_leads_to_its_image(annotator, next_image):
    page, number, other = annotator.page, annotator.data("image"), next(next_image)
    page.evaluate(f"location.hash = '#image={other}'")
    arrive(annotator, other)
    page.go_back()
    arrive(annotator, number)
    page.evaluate("location.hash = '#image=9999'")
    expect(page.locator("#status")).to_have_text("The address names no image of this project")
    page.wait_for_function("(hash) => location.hash === hash", arg=f"#image={number}")
    assert int(annotator.data("image")) == int(number)
