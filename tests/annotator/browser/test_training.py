"""Training on accepted images, as the page shows it."""

import re

import pytest
from playwright.sync_api import expect

from tests.annotator.browser.conftest import proposing
from tests.annotator.learning import Pretended, end_training, result

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def more_options():
    """A training that only pretends."""
    return {"learning": Pretended(proposing(2))}


def accept_three(annotator, project):
    """Accept three images that were not: which of them the page goes on to depends on how far it was looked ahead."""
    for number in [one["id"] for one in project.images("name") if one["state"] == "open"][:3]:
        if annotator.data("image") != number:
            annotator.page.locator(f"[data-image='{number}'] button").click()
            annotator.wait("image", number)
            annotator.ready()
        annotator.press("Control+Enter")
        annotator.wait_for_change("image", number)
        annotator.ready()


def test_a_model_learns_takes_over_and_proposes_anew(annotator, project):
    page = annotator.page
    expect(page.locator("#learn")).not_to_be_visible()
    accept_three(annotator, project)
    expect(page.locator("#learning-text")).to_have_text("3 images are accepted: the model can learn from them.")
    before = annotator.data("points")
    page.locator("#learn").click()
    expect(page.locator("#learning-text")).to_have_text("training: 3 of 9, epoch 1/3")
    assert page.locator("#learning-progress").get_attribute("value") == "3"
    expect(page.locator("#learn-stop")).to_be_visible()
    end_training(project.folder, result())
    says = "A new model took over: Dice 0.500 before, 0.750 after, on 1 held-out image (1 of 1 mask edited)."
    expect(page.locator("#learning-text")).to_have_text(says)
    annotator.wait_for_change("points", before)
    annotator.wait_for_change("points", [])  # the old proposals are taken away before new ones are made
    annotator.ready()
    expect(page.locator("#facts")).to_have_text(re.compile("001/run$"))
    assert {one["model"] for one in annotator.served()["list"]} == {project.learning.known.number}
    page.reload()
    annotator.ready()
    expect(page.locator("#learning-text")).to_have_text(says)


def test_training_is_stopped_and_gone_on_with(annotator, project):
    page = annotator.page
    accept_three(annotator, project)
    page.locator("#learn").click()
    page.locator("#learn-stop").click()
    expect(page.locator("#learning-text")).to_contain_text("Training was interrupted.")
    page.locator("#learn-on").click()
    expect(page.locator("#learn-stop")).to_be_visible()
    end_training(project.folder, result(after=0.25))
    expect(page.locator("#learning-text")).to_contain_text("not better, so the old one stays")
