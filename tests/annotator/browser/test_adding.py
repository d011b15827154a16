"""What is done while a new object has no id yet: nothing is lost, and nothing is done to another object."""

import pytest
from playwright.sync_api import expect

from tests.annotator.browser.test_lost_answers import hold_back

pytestmark = pytest.mark.slow


def test_what_is_done_while_an_object_is_being_added_is_done_to_it(annotator):
    held = hold_back(annotator, "**/actions", "POST")
    places = [[10 + 15 * number, 8, 1] for number in range(5)]
    annotator.press("n")
    for x, y, _ in places:
        annotator.click(x, y)
    assert annotator.data("points") == places
    annotator.press("b")
    annotator.drag((10, 80), (30, 80))
    annotator.press("p")
    annotator.click(85, 85)
    annotator.wait_until(lambda: held)
    held[0].continue_()
    annotator.wait("points", [*places, [85, 85, 1]])
    annotator.ready()
    first, added = annotator.served()["list"]
    assert annotator.data("active") == added["id"] != first["id"]
    assert [[one["x"], one["y"], one["label"]] for one in added["points"]] == [*places, [85, 85, 1]]
    assert added["painted"]
    annotator.act(annotator.press, "Control+z")
    assert annotator.data("points") == places


def test_a_second_new_object_is_begun_while_the_first_is_being_added(annotator):
    held = hold_back(annotator, "**/actions", "POST")
    for place in ((10, 8), (80, 8)):
        annotator.press("n")
        annotator.click(*place)
    annotator.wait_until(lambda: held)
    held[0].continue_()
    annotator.wait("objects", 3)
    annotator.ready()
    _, one, other = annotator.served()["list"]
    assert [(point["x"], point["y"]) for added in (one, other) for point in added["points"]] == [(10, 8), (80, 8)]
    assert annotator.data("active") == other["id"]


def test_clicks_behind_a_new_object_that_is_refused_change_no_other_object(annotator, forgiven):
    forgiven.add("status of 422")
    before, held = annotator.served()["list"], hold_back(annotator, "**/actions", "POST")
    annotator.press("n")
    for x in (10, 30, 50):
        annotator.click(x, 8)
    annotator.wait_until(lambda: held)
    held[0].fulfill(status=422, json={"error": {"code": "invalid", "message": "Not this one"}})
    expect(annotator.page.locator("#trouble-text")).to_contain_text("Not this one")
    annotator.ready()
    assert annotator.served()["list"] == before
