"""Several objects, undo over everything, and finding it all again."""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from promise_seg.annotator.bits import MaskBits
from tests.annotator.browser.conftest import SIDE
from tests.annotator.browser.test_lost_answers import hold_back

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
    row.get_by_role("button").click()
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


def file_of(picture, kind="PNG"):
    stream = io.BytesIO()
    picture.save(stream, kind)
    return {"name": "<b>mask</b>.png", "mimeType": "image/png", "buffer": stream.getvalue()}


def png_of(mask):
    return file_of(Image.fromarray(mask.astype(np.uint8) * 255))


def test_a_mask_from_a_file_is_refined_by_prompts(annotator):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[20:50, 30:60] = True
    field = annotator.page.locator("#mask-file")
    annotator.act(field.set_input_files, png_of(mask))
    *_, added = annotator.served()["list"]
    assert added["imported"]
    assert annotator.data("active") == added["id"]
    assert np.array_equal(MaskBits.from_json(added["mask"]).mask(SIDE, SIDE), mask)
    annotator.act(annotator.page.get_by_role("button", name="Refine").click)
    annotator.act(annotator.click, 45, 60)
    *_, refined = annotator.served()["list"]
    assert refined["refines"]
    assert refined["mask"] != added["mask"]
    field.set_input_files(png_of(mask[:40]))
    expect(annotator.page.locator("#trouble-text")).to_contain_text(f"<b>mask</b>.png: has {SIDE} \u00d7 40 pixels")
    assert annotator.page.locator("#trouble-text b").count() == 0, "names are text"


def block(values, dtype=np.uint8):
    """A picture with blocks of values on black."""
    found = np.zeros((SIDE, SIDE), dtype)
    for number, value in enumerate(values):
        found[10 * number + 10 : 10 * number + 20, 30:60] = value
    return Image.fromarray(found)


def with_palette(background):
    picture = block([1]).convert("P")
    picture.putpalette([background] * 3 + [255 - background] * 3)
    return picture


def with_transparency():
    picture = block([255])
    picture.putalpha(block([255]))
    return picture


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (block([5, 300], np.uint16), "has 16 bits per value"),
        (block([1, 2]), "has 3 grey values (0, 1, 2)"),
        (block(range(40, 46)), "has 7 grey values (0, 40, 41, 42, 43, ...)"),
        (with_palette(255), "has a palette"),
        (with_palette(0), "has a palette"),
        (Image.fromarray(np.full((SIDE, SIDE), 7, np.uint8)), "has no black pixels (its grey values are 7)"),
        (Image.merge("RGB", (block([255]), block([255]), block([]))), "has colours"),
        (with_transparency(), "has transparent pixels"),
        (block([]), "is black everywhere"),
    ],
)
def test_a_file_whose_mask_is_not_certain_is_refused(open_page, picture, found):
    annotator = open_page(image=10)
    revision = annotator.data("revision")
    annotator.page.locator("#mask-file").set_input_files(file_of(picture))
    trouble = annotator.page.locator("#trouble-text")
    expect(trouble).to_contain_text(f"<b>mask</b>.png: {found}; expected a greyscale PNG")
    assert annotator.data("revision") == revision


def test_a_later_mask_that_is_added_removes_the_message(annotator):
    field = annotator.page.locator("#mask-file")
    field.set_input_files(file_of(block([255]), "BMP"))
    expect(annotator.page.locator("#trouble-text")).to_contain_text("is not a PNG file; expected")
    for picture in (block([1]), block([255]).convert("1"), block([255]).convert("RGB")):
        annotator.act(field.set_input_files, file_of(picture))
        expect(annotator.page.locator("#trouble")).not_to_be_visible()
        assert annotator.data("area") == 300


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
    annotator.page.mouse.dblclick(*annotator.place(70, 4))
    expect(annotator.page.locator("#status")).to_contain_text("points at most")
    annotator.act(annotator.press, "l")  # answered after whatever the double click sent
    assert annotator.served()["revision"] == before + 1


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
