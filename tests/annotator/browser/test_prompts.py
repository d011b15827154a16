"""Points and boxes: moved, added, turned and taken away, and the mask follows."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

SLOW_UNPACKING = """() => { const Unpacking = window.DecompressionStream;
    const gate = new Promise((open) => (window.openGate = open));
    window.DecompressionStream = function (kind) {
        const { readable, writable } = new Unpacking(kind);
        const wait = new TransformStream({ transform: (part, on) => gate.then(() => on.enqueue(part)) });
        const [mine, theirs] = readable.pipeThrough(wait).tee();
        window.unpacked = new Response(mine).arrayBuffer().then(() => new Promise(requestAnimationFrame));
        return { writable, readable: theirs };
    }; }"""


def test_the_proposal_is_there_at_first_sight(annotator):
    assert annotator.data("objects") == 1
    assert len(annotator.data("points")) > 0
    assert annotator.drawn() > 500
    assert annotator.drawn("image") > 10000
    (served,) = annotator.served()["list"]
    assert served["automatic"]
    assert annotator.page.locator("#automatic").is_disabled()


def test_the_mask_follows_a_point_while_it_is_dragged(annotator):
    (x, y, label), *others = annotator.data("points")
    (before,) = annotator.masks()
    revision = annotator.data("revision")
    annotator.grab(x, y)
    annotator.page.mouse.move(*annotator.place(30, 60), steps=4)
    annotator.wait_for_change("preview", "")
    assert annotator.data("revision") == revision, "nothing is saved before the point is let go"
    assert annotator.masks() == [before]
    annotator.page.mouse.up()
    annotator.revision_after(1, revision)
    assert annotator.data("points") == [[30, 60, label], *others]
    assert annotator.masks() != [before]
    assert not annotator.served()["list"][0]["automatic"]
    annotator.act(annotator.page.locator("#automatic").click)
    assert annotator.masks() == [before]


def test_a_mask_that_is_unpacked_after_escape_is_not_shown(annotator):
    (x, y, _), *_ = annotator.data("points")
    annotator.page.evaluate(SLOW_UNPACKING)
    annotator.grab(x, y)
    annotator.page.mouse.move(*annotator.place(30, 60))
    annotator.page.wait_for_function("() => window.unpacked !== undefined")  # the answer is there
    annotator.press("Escape")
    annotator.page.evaluate("window.openGate()")
    annotator.page.evaluate("window.unpacked")
    annotator.page.mouse.up()
    annotator.ready()
    assert annotator.data("preview") is None


def test_a_box_is_drawn_and_its_sides_are_dragged(annotator):
    annotator.tool("box")
    annotator.act(annotator.drag, (20, 20), (60, 70))
    assert annotator.data("box") == [20, 20, 60, 70]
    first = annotator.masks()
    revision = annotator.data("revision")
    annotator.tool("point")
    annotator.grab(60.5, 45)
    annotator.page.mouse.move(*annotator.place(80, 45), steps=3)
    annotator.wait_for_change("preview", "")
    annotator.page.mouse.up()
    annotator.revision_after(1, revision)
    assert annotator.data("box") == [20, 20, 80, 70]
    annotator.act(annotator.drag, (80.5, 70.5), (50, 50))
    assert annotator.data("box") == [20, 20, 50, 50]
    assert annotator.masks() != first
    annotator.act(annotator.press, "Delete")
    assert annotator.data("box") is None


def test_clicks_add_points_that_are_flipped_and_deleted(annotator):
    count = len(annotator.data("points"))
    annotator.act(annotator.click, 10, 10)
    annotator.act(annotator.click, 85, 12, key="Shift")
    annotator.act(annotator.click, 12, 85, button="right")
    assert annotator.data("points")[count:] == [[10, 10, 1], [85, 12, 0], [12, 85, 0]]
    annotator.act(annotator.press, "t")
    assert annotator.data("points")[-1] == [12, 85, 1]
    annotator.act(annotator.press, "Delete")
    annotator.click(85, 12)
    annotator.act(annotator.press, "Backspace")
    assert annotator.data("points")[count:] == [[10, 10, 1]]
    annotator.press("x")
    annotator.act(annotator.click, 50, 8)
    assert annotator.data("points")[-1] == [50, 8, 0]


def test_the_pointer_shows_what_a_click_would_give(annotator):
    before = annotator.masks()
    annotator.hover(8, 50)
    annotator.wait_for_change("hovered", "")
    assert annotator.masks() == before
    annotator.page.mouse.move(2, 2)
    annotator.wait("hovered", "")


def test_while_tab_is_held_the_model_waits(annotator):
    count, revision = len(annotator.data("points")), annotator.data("revision")
    annotator.page.locator("#canvas").focus()
    annotator.page.keyboard.down("Tab")
    for at in (10, 20, 30):
        annotator.click(at, 5)
    assert len(annotator.data("points")) == count + 3
    assert annotator.data("revision") == revision
    annotator.act(annotator.page.keyboard.up, "Tab")
    assert len(annotator.served()["list"][0]["points"]) == count + 3


def test_another_of_the_models_masks_is_taken(annotator):
    (first,) = annotator.served()["list"]
    other = (first["chosen"] + 1) % 3
    annotator.act(annotator.page.get_by_text(f"Mask {other + 1}").click)
    (second,) = annotator.served()["list"]
    assert second["chosen"] == second["candidate"] == other
    annotator.act(annotator.press, "c")
    assert annotator.served()["list"][0]["chosen"] == (other + 1) % 3


def test_a_mask_is_refined_from_where_it_is(annotator):
    mask = annotator.masks()
    annotator.act(annotator.page.get_by_role("button", name="Refine").click)
    assert annotator.masks() == mask
    assert annotator.data("points") == []
    annotator.act(annotator.click, 48, 10)
    assert annotator.served()["list"][0]["refines"]
    assert len(annotator.data("points")) == 1


def test_a_point_more_than_an_object_can_have_is_refused_at_once(open_page, monkeypatch):
    monkeypatch.setattr("promise_seg.annotator.project.MOST_POINTS", 20)
    annotator = open_page()
    annotator.page.keyboard.press("n")
    for number in range(20):
        annotator.act(annotator.click, 10 + 4 * number, 40)
    revision = annotator.data("revision")
    annotator.click(30, 70)
    expect(annotator.page.locator("#status")).to_have_text("An object has 20 points at most")
    assert annotator.page.locator("#trouble").is_hidden()
    assert (len(annotator.data("points")), annotator.data("revision")) == (20, revision)
