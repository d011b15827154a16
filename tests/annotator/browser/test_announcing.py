"""What is said of answered actions, also to those who do not see the image."""

import pytest
from playwright.sync_api import expect

from promise_seg.vocabulary import OutputFormat

pytestmark = pytest.mark.slow
REOPENED = "This image is open again; Ctrl+Enter accepts it"


@pytest.fixture
def status(annotator):
    return annotator.page.locator("#status[aria-live=polite]")


def mask_of(annotator):
    """What is said of the mask of the active object."""
    *_, found = [one for one in annotator.served()["list"] if one["id"] == annotator.data("active")]
    score = "" if found["score"] is None else f", score {found['score']:.2f}"
    return f"The mask has {annotator.data('area')} pixels{score}"


def accept(annotator):
    """Accept the open image and come back to it."""
    number = annotator.data("image")
    annotator.press("Control+Enter")
    annotator.wait_for_change("image", number)
    annotator.ready()
    annotator.page.locator(f"[data-image='{number}'] button").click()
    annotator.wait("image", number)
    annotator.ready()


def test_every_answered_action_is_announced(annotator, status):
    annotator.act(annotator.click, 12, 12)
    expect(status).to_have_text(mask_of(annotator))
    annotator.press("b")
    annotator.act(annotator.drag, (10, 90), (80, 90))
    expect(status).to_have_text(f"Painted. {mask_of(annotator)}")
    annotator.press("e")
    annotator.act(annotator.drag, (40, 10), (40, 90))
    expect(status).to_have_text(f"Erased. {mask_of(annotator)}")
    annotator.act(annotator.press, "Control+z")
    expect(status).to_have_text(f"Undone. {mask_of(annotator)}")
    annotator.act(annotator.press, "Control+y")
    expect(status).to_have_text(f"Redone. {mask_of(annotator)}")
    annotator.press("n", "b")
    annotator.act(annotator.drag, (10, 20), (30, 20))
    expect(status).to_have_text(f"Object 2 added. {mask_of(annotator)}")
    for key, said in {"l": ("locked", "unlocked"), "h": ("hidden", "shown")}.items():
        for words in said:
            annotator.act(annotator.press, key)
            expect(status).to_have_text(f"Object 2 {words}")
    annotator.act(annotator.press, "3")
    expect(status).to_have_text("Object 2: class tool")
    annotator.act(annotator.page.get_by_role("button", name="Refine").click)
    expect(status).to_have_text("The next points refine Object 2")
    annotator.act(annotator.press, "Shift+Delete")
    expect(status).to_have_text("Object 2 deleted")
    annotator.act(annotator.press, "c")
    expect(status).to_contain_text(" of 3, score ")
    annotator.act(annotator.press, "q")
    expect(status).to_have_text(f"Object 1 is automatic again. {mask_of(annotator)}")


def test_a_double_click_leaves_the_number_of_pixels_of_the_mask_that_is_left(annotator, status):
    annotator.act(annotator.click, 12, 12)
    area = annotator.data("area")
    annotator.act(annotator.double_click, 80, 4, steps=2)
    assert annotator.data("area") == area
    expect(status).to_have_text(f"Undone. {mask_of(annotator)}")


def test_an_action_that_opens_an_accepted_image_again_says_so(annotator):
    said = annotator.page.locator("#reopened[role=status]")
    annotator.act(annotator.click, 12, 12)
    assert said.text_content() == ""
    accept(annotator)
    assert said.text_content() == ""
    annotator.act(annotator.click, 80, 4)
    expect(said).to_have_text(REOPENED)
    expect(said).to_be_visible()
    annotator.act(annotator.press, "l")
    expect(said).to_have_text(REOPENED)
    accept(annotator)
    assert annotator.served()["state"] == "done"
    assert said.text_content() == ""


def test_undo_that_cannot_accept_the_image_again_says_why(annotator, project, monkeypatch):
    """The masks cannot be written any more, as after a start with another format."""
    annotator.act(annotator.click, 12, 12)
    accept(annotator)
    annotator.act(annotator.press, "h")
    monkeypatch.setattr(project.acceptances.results, "output", OutputFormat.NIFTI)
    annotator.act(annotator.press, "Control+z")
    expect(annotator.page.locator("#trouble-text")).to_contain_text(
        "The image was accepted here before, but is open now"
    )
    assert annotator.served()["state"] == "open"


def test_hidden_objects_are_named_when_they_become_part_of_the_mask(annotator, status):
    name, number = annotator.page.locator("#image-name").inner_text(), annotator.data("image")
    annotator.press("n", "b")
    annotator.act(annotator.drag, (10, 20), (30, 20))
    annotator.act(annotator.press, "h")
    annotator.press("Control+Enter")
    expect(status).to_contain_text(f"Accepted {name}. 1 hidden object is part of the mask. ")
    annotator.ready()
    assert annotator.served(number)["state"] == "done"
