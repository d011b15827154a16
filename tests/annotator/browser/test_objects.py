"""Several objects, undo over everything, and finding it all again."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def facts(annotator):
    """All of the objects but for what numbers may differ by."""
    return [{name: one[name] for name in one if name != "score"} for one in annotator.served()["list"]]


def test_a_second_object_has_class_colour_and_lock(annotator):
    annotator.page.locator("#new-object").click()
    annotator.press("3")
    annotator.act(annotator.click, 70, 20)
    first, second = annotator.served()["list"]
    assert second["class"] == 3
    assert second["points"] == [{"x": 70, "y": 20, "label": 1}]
    annotator.act(annotator.press, "l")
    revision = annotator.data("revision")
    annotator.click(20, 70)
    expect(annotator.page.locator("#status")).to_contain_text("locked")
    assert annotator.data("revision") == revision
    annotator.act(annotator.press, "h")
    assert annotator.drawn() < 3000, "a hidden object is not drawn"
    annotator.press("k")
    annotator.wait("active", first["id"])
    annotator.act(annotator.page.get_by_role("button", name="Delete Object 1").click)
    assert [one["id"] for one in annotator.served()["list"]] == [second["id"]]


def test_a_click_with_ctrl_chooses_the_object_under_it(annotator):
    annotator.press("n", "b")
    annotator.act(annotator.drag, (4, 4), (20, 4))
    second = annotator.data("active")
    annotator.press("k", "p")
    assert annotator.data("active") != second
    annotator.click(12, 4, key="Control")
    annotator.wait("active", second)


def test_the_list_shows_the_row_of_the_active_object(annotator):
    """Beyond six objects, the row of a new object was once below the end of the list, with its class."""
    rows = annotator.objects()
    for row in range(9):
        annotator.press("n", "b")
        annotator.act(annotator.drag, (4, 4 + 9 * row), (30, 4 + 9 * row))
    count = rows.count()
    last, first = rows.nth(count - 1), rows.first
    expect(last.locator("select")).to_be_in_viewport(ratio=1)
    expect(first).not_to_be_in_viewport()
    annotator.press("j")  # the one after the last is the first
    expect(first.locator("select")).to_be_in_viewport(ratio=1)
    annotator.press("n")
    expect(annotator.page.locator("#object-list [data-active] select")).to_be_in_viewport(ratio=1)


def test_undo_and_redo_go_twenty_steps_over_all_kinds(annotator):
    states = [facts(annotator)]

    def step(does, *what, **how):
        annotator.act(does, *what, **how)
        states.append(facts(annotator))

    page = annotator.page
    for x in (10, 30, 50):
        step(annotator.click, x, 8)
    step(annotator.click, 70, 8, key="Shift")
    step(annotator.press, "t")
    step(annotator.press, "Delete")
    step(annotator.press, "c")
    annotator.press("r")
    step(annotator.drag, (10, 20), (80, 80))
    step(annotator.drag, (80.5, 50), (60, 50))
    annotator.press("b")
    step(annotator.drag, (10, 90), (80, 90))
    annotator.press("e")
    step(annotator.drag, (40, 10), (40, 90))
    annotator.press("g")
    for corner in ((5, 5), (30, 5)):
        annotator.click(*corner)
    annotator.click(30, 30)
    step(annotator.press, "Enter")
    step(annotator.press, "2")
    step(annotator.press, "h")
    step(annotator.press, "h")
    step(annotator.press, "l")
    step(annotator.press, "l")
    step(page.get_by_role("button", name="Refine").click)
    annotator.press("p")
    step(annotator.click, 48, 48)
    annotator.press("n")
    step(annotator.click, 20, 80)
    step(annotator.press, "Shift+Delete")
    step(annotator.press, "q")
    assert len(states) > 20
    for expected in reversed(states[:-1]):
        annotator.act(annotator.press, "Control+z")
        assert facts(annotator) == expected
    assert page.locator("#undo").is_disabled()
    for number, expected in enumerate(states[1:]):
        annotator.act(annotator.press, "Control+y" if number % 2 else "Control+Shift+z")
        assert facts(annotator) == expected
    assert page.locator("#redo").is_disabled()


def test_accepted_images_are_found_again_after_a_reload(annotator):
    number = annotator.data("image")
    annotator.act(annotator.click, 12, 12)
    annotator.act(annotator.press, "Enter")
    expect(annotator.page.locator("#status")).to_contain_text("Accepted")
    annotator.press("n")
    annotator.act(annotator.click, 70, 70)
    before = annotator.served()
    annotator.press("Control+Enter")
    annotator.wait_for_change("image", number)
    annotator.ready()
    row = annotator.page.locator(f"[data-image='{number}']")
    expect(row).to_have_attribute("data-image-state", "done")
    annotator.page.reload()
    annotator.ready()
    assert annotator.data("image") != number, "a reload stays at the image that was open"
    row.get_by_role("option").click()
    annotator.wait("image", number)
    annotator.ready()
    after = annotator.served()
    assert after["state"] == "done"
    assert after["list"] == before["list"]
    assert annotator.data("objects") == 2


def test_another_image_waits_for_what_is_being_saved(annotator):
    number, count = annotator.data("image"), len(annotator.data("points"))
    other, last = 11, 12  # which no other test of this module opens
    annotator.click(40, 4)
    annotator.page.locator(f"[data-image='{other}'] button").click()
    annotator.page.locator(f"[data-image='{last}'] button").click()
    annotator.wait("image", last)
    annotator.ready()
    assert len(annotator.served(number)["list"][0]["points"]) == count + 1
    annotator.act(annotator.click, 40, 4)
    assert annotator.served()["holder"] is not None
    annotator.wait_until_free(other)
    annotator.wait_until_free(number)


def test_a_second_person_is_told_and_may_take_over(open_page, forgiven):
    forgiven.add("status of 409")
    first = open_page()
    number = first.data("image")
    second = open_page(image=number)
    expect(second.page.locator("#trouble")).to_be_visible()
    expect(second.page.locator("#saved-text")).to_have_text("Read-only")
    revision = second.data("revision")
    second.click(20, 20)
    assert second.data("revision") == revision
    second.page.get_by_role("button", name="Take over").click()
    expect(second.page.locator("#saved-text")).to_have_text("Saved")
    second.ready()
    second.act(second.click, 60, 70)  # elsewhere: a second click at once would be a double click
    first.click(30, 30)
    expect(first.page.locator("#trouble")).to_be_visible()
    assert len(second.served()["list"][0]["points"]) == len(second.data("points"))


def test_accepted_objects_are_exported(annotator, project):
    number = annotator.data("image")
    annotator.press("Control+Enter")
    annotator.wait_for_change("image", number)
    annotator.ready()
    annotator.page.locator("#export").click()
    expect(annotator.page.locator("#status")).to_contain_text("exports/coco.json")
    assert (project.folder / "exports/coco.json").is_file()


def test_a_press_on_the_next_image_is_no_second_half_of_a_double_click(annotator):
    """However soon it comes: an image that is ready opens within the time of a double click."""

    def tap(time):
        annotator.page.evaluate(
            """([x, y, time]) => {
                for (const name of ["pointerdown", "pointerup"]) {
                    const event = new PointerEvent(name, {
                        pointerId: 1, pointerType: "mouse", isPrimary: true, bubbles: true, cancelable: true,
                        clientX: x, clientY: y, button: 0, buttons: name === "pointerdown" ? 1 : 0,
                    });
                    Object.defineProperty(event, "timeStamp", { value: time });
                    document.getElementById("canvas").dispatchEvent(event);
                }
            }""",
            [*annotator.place(70, 4), time],
        )

    for image, time in ((11, -10_000.0), (12, -9_900.0)):  # long before all real presses
        annotator.page.locator(f"[data-image='{image}'] button").click()
        annotator.wait("image", image)
        annotator.ready()
        annotator.act(tap, time)


def test_a_double_click_that_adds_no_point_undoes_nothing(annotator, monkeypatch):
    """At the most points of an object, the step before was once undone."""
    annotator.act(annotator.click, 12, 12)
    monkeypatch.setattr("promise_seg.annotator.project.MOST_POINTS", len(annotator.data("points")))
    annotator.page.reload()
    annotator.ready()
    before = annotator.data("revision")
    annotator.double_click(70, 4)
    expect(annotator.page.locator("#status")).to_contain_text("points at most")
    annotator.act(annotator.press, "l")  # answered after whatever the double click sent
    assert annotator.served()["revision"] == before + 1
