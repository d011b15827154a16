"""Volumes and DICOM series: slices, the window, and what one slice offers to the next."""

import nibabel
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.annotator.browser.conftest import let_all_go
from tests.annotator.browser.driving import LONGEST_MS, Annotator
from tests.files import write_series

pytestmark = pytest.mark.slow
DEPTH, HEIGHT, WIDTH = 5, 48, 64


def body(seed=0):
    """A ball in air, in Hounsfield units, (DEPTH, HEIGHT, WIDTH) int16."""
    z, y, x = np.mgrid[:DEPTH, :HEIGHT, :WIDTH]
    distance = np.sqrt(((z - 2) * 4) ** 2 + (y - 24) ** 2 + (x - 32) ** 2)
    noise = np.random.default_rng(seed).normal(0, 20, distance.shape)
    return (np.where(distance < 15, 60, -900) + noise).astype(np.int16)


@pytest.fixture(scope="module")
def volumes(proposing_model, lasting_leases, tmp_path_factory):
    """The server of a NIfTI volume and a DICOM series."""
    from promise_seg.annotator.project import Options, Project
    from promise_seg.annotator.running import running

    place = tmp_path_factory.mktemp("volumes")
    (place / "images").mkdir()
    nibabel.save(nibabel.Nifti1Image(body().transpose(2, 1, 0), np.diag([1, 1, 4, 1])), place / "images/a.nii.gz")
    write_series(place / "images/series", body(1))
    options = Options(store=place / "store")
    with (
        Project(proposing_model, [place / "images"], place / "project", options) as project,
        running(project) as access,
    ):
        yield project, access


@pytest.fixture(params=["a.", "series"])
def volume(request, browser, volumes):
    project, access = volumes
    entry = next(one for one in project.images("name") if request.param in one["name"])
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(LONGEST_MS)
    page = context.new_page()
    page.goto(f"{access.address}#image={entry['id']}")
    yield Annotator(page).ready()
    context.close()
    let_all_go(project)


def picture(annotator):
    """The drawn image, as the sum of its grey levels."""
    annotator.ready()
    script = """() => { const canvas = document.getElementById('layer-image'); const { width, height } = canvas;
        const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
        context.drawImage(canvas, 0, 0);
        return context.getImageData(0, 0, width, height).data.reduce((sum, value) => sum + value, 0); }"""
    annotator.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return annotator.page.evaluate(script)


def test_slices_and_window(volume):
    page = volume.page
    assert volume.data("slice") == 2
    assert volume.served()["slices"] == DEPTH
    middle = picture(volume)
    volume.press(".")
    volume.wait("slice", 3)
    assert picture(volume) != middle
    page.locator("#slice").fill("0")
    volume.wait("slice", 0)
    volume.ready()
    expect(page.locator("#slice-text")).to_have_text(f"1 of {DEPTH}")
    assert page.locator("#slice-back").is_disabled()
    page.locator("#slice").fill("2")
    volume.wait("slice", 2)
    assert picture(volume) == middle
    page.locator("#window-width").fill("100")
    page.locator("#window-centre").fill("-900")
    assert picture(volume) > middle
    page.locator("#window-reset").click()
    assert picture(volume) == middle


def test_a_slice_takes_over_what_the_one_before_has(volume):
    page = volume.page
    page.locator("#slice").fill("2")
    volume.wait("slice", 2)
    volume.ready()
    volume.press("n", "r")
    volume.act(volume.drag, (18, 10), (46, 38))
    box = volume.data("box")
    count = volume.data("objects")
    page.locator("#slice").fill("3")
    volume.wait("slice", 3)
    volume.ready()
    before = volume.data("objects")
    revision = volume.data("revision")
    page.locator("[data-offer=prompts]").click()
    volume.revision_after(count, revision)
    assert volume.data("objects") == before + count
    assert box in [one["box"] for one in volume.served()["list"] if one["slice"] == 3]


def test_the_image_keeps_its_size_from_slice_to_slice(volume):
    page = volume.page

    def in_the_middle(route):
        if route.request.method != "POST":
            return route.fallback()
        answer = route.fetch()
        facts = answer.json()
        middle = [one for one in facts["list"] if one["slice"] == 2]
        return route.fulfill(response=answer, json=facts | {"list": middle, "proposed": [*range(DEPTH)]})

    page.route("**/lease", in_the_middle)
    page.reload()
    volume.ready()
    view, copy = volume.data("view"), page.locator("[data-offer=prompts]")
    expect(copy).to_be_disabled()
    expect(copy).to_have_text("Copy prompts of slice 2")
    volume.press(".")
    volume.wait("slice", 3)
    volume.ready()
    assert volume.data("view") == view
    expect(copy).to_be_enabled()
    expect(copy).to_have_text("Copy prompts of slice 3")
    volume.press(",", ",", ",")
    volume.wait("slice", 0)
    expect(copy).to_have_text("Copy prompts of slice 2")
