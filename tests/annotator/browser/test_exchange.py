"""Masks from files: added where they are certain, and otherwise refused."""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from promise_seg.annotator.bits import MaskBits
from tests.annotator.browser.conftest import SIDE

pytestmark = pytest.mark.slow


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
