"""Objects of one slice taken on to the next ones in the page."""

import pytest
from playwright.sync_api import expect

from tests.annotator.browser.test_volumes import volume, volumes

__all__ = ["volume", "volumes"]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("volume", ["a."], indirect=True)
def test_an_object_is_propagated_and_taken_back_in_one_step(volume):
    page = volume.page
    page.locator("#slice").fill("1")
    volume.wait("slice", 1)
    volume.ready()
    volume.press("n", "r")
    volume.act(volume.drag, (17, 9), (47, 39))
    number = volume.data("active")
    for one in volume.served()["list"]:
        if one["slice"] == 1 and one["id"] != number:  # what was proposed there
            page.locator(f"[data-object='{one['id']}'] [data-key^=hidden]").click()
            volume.ready()
    before = {one["id"]: one["slice"] for one in volume.served()["list"]}
    page.locator("#propagate-last").fill("4")
    volume.act(page.locator("#propagate").click)
    made = [one for one in volume.served()["list"] if one["id"] not in before]
    assert {one["slice"] for one in made} == {2, 3}
    assert all(one["box"] for one in made)
    expect(page.locator("#status")).to_have_text("Propagated to 2 slices; undo takes it back in one step")
    expect(page.locator("#propagate-stop")).not_to_be_visible()
    volume.act(volume.press, "Control+z")
    assert {one["id"]: one["slice"] for one in volume.served()["list"]} == before
