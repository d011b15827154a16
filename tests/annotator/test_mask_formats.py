"""Masks are written only in formats that can be trained on, and other formats are refused at the start."""

import numpy as np
import pytest
import tifffile

from promise_seg.annotator.mask_formats import can_be_trained_on
from promise_seg.annotator.project import Options, Project, check_options
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import SettingsError
from promise_seg.images.formats.opening import open_source
from promise_seg.vocabulary import OutputFormat
from tests.annotator.helpers import Tab, bits_of, client_of
from tests.files import write_series

KINDS = {
    "picture": ["auto", "png", "tiff", "nrrd", "metaimage", "npy"],
    "pages": ["auto", "tiff", "nrrd", "metaimage", "npy"],
    "volume": ["auto", "nifti", "nrrd", "metaimage"],
    "series": ["auto", "nifti", "nrrd", "metaimage", "dicom-seg"],
}
"""The formats that work for each kind of image."""


@pytest.fixture
def place(request, tmp_path):
    """An image of some kind."""
    if request.param == "volume":
        return request.getfixturevalue("volume")
    if request.param == "series":
        return write_series(tmp_path / "series", np.zeros((3, 30, 40), np.int16))
    shape = (30, 40) if request.param == "picture" else (3, 30, 40)
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros(shape, np.uint8), photometric="minisblack")
    return tmp_path / "stack.tif"


@pytest.mark.slow
@pytest.mark.parametrize(("place", "output"), [(kind, one) for kind in KINDS for one in KINDS[kind]],
                         indirect=["place"])  # fmt: skip
def test_masks_in_a_format_that_works_are_trained_on(model, folder, place, output):
    with Project(model, [place], folder, Options(output_format=OutputFormat(output))) as project:
        tab, count = Tab(client_of(project), 1), project.catalogue.row(1)["slices"]
        tab.open()
        for index in range(count):
            tab.act("add", slice=index, **{"class": 1}, mask=bits_of(slice(2, 9), slice(1, 3 + index)))
        tab.act("accept")
    data = Dataset.from_csv(folder / "manifest.csv")
    assert [row.foreground_pixels for row in data.rows] == [7 * (2 + index) for index in range(count)]
    assert all(row.mask()[2:9, 1 : 3 + index].all() for index, row in enumerate(data.rows))


@pytest.mark.parametrize(("place", "kind"), [(kind, kind) for kind in KINDS], indirect=["place"])
def test_other_formats_are_refused_at_the_start(model, folder, place, kind):
    source = open_source(place)
    assert [one for one in OutputFormat if can_be_trained_on(source, one)] == KINDS[kind]
    refused = next(one for one in ("png", "nifti") if one not in KINDS[kind])
    words = rf"--format {refused}: masks of {place.name} .* expected one of {', '.join(KINDS[kind])}\. "
    with pytest.raises(SettingsError, match=words):
        Project(model, [place], folder, Options(output_format=OutputFormat(refused)))
    usable = ", ".join(one for one in KINDS[kind] if one not in ("nrrd", "dicom-seg"))
    with pytest.raises(SettingsError, match=rf"{refused}: masks of {place.name} .* expected one of {usable}\. "):
        Project(model, [place], folder, Options(output_format=OutputFormat(refused), instances=True))
    assert not folder.exists()


def test_an_image_that_was_not_looked_at_at_the_start_is_refused_when_it_is_accepted(model, folder, tmp_path):
    for name, shape in (("a", (30, 40)), ("b", (30, 40)), ("c", (3, 30, 40))):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros(shape, np.uint8), photometric="minisblack")
    with Project(model, [tmp_path / f"{name}.tif" for name in "ab"], folder) as project:
        project.acceptances.results.output = OutputFormat.NIFTI
        tab = Tab(client_of(project), 2)
        tab.open()
        answer = tab.send({"type": "accept"})
        assert answer.status_code == 422
        message = answer.json()["error"]["message"]
        assert message.endswith("b.tif: its masks cannot be trained on in the format nifti. Choose another --format")
    with pytest.raises(SettingsError, match=r"--format png: masks of c\.tif"):  # the single images could have it
        Project(model, [tmp_path], folder, Options(output_format=OutputFormat.PNG))


@pytest.mark.parametrize(
    ("instances", "usable"),
    [
        (None, "auto, png, tiff, nifti, nrrd, metaimage, npy, dicom-seg"),
        (True, "auto, png, tiff, nifti, metaimage, npy"),
    ],
)
@pytest.mark.parametrize("output", OutputFormat)
def test_a_message_lists_the_formats_that_are_accepted_and_no_others(output, instances, usable):
    if output in usable.split(", "):
        check_options(Options(output_format=output, instances=instances))
    else:
        with pytest.raises(SettingsError, match=rf"--format {output}: .*; expected one of {usable}\. "):
            check_options(Options(output_format=output, instances=instances))


@pytest.mark.parametrize("output", ["coco", "rle", "geojson"])
def test_formats_that_cannot_be_trained_on_are_refused_before_anything_is_written(model, images, folder, output):
    with pytest.raises(
        SettingsError, match=rf"--format {output}: masks .* cannot be trained on; expected one of auto, png"
    ):
        Project(model, [images], folder, Options(output_format=OutputFormat(output)))
    assert not folder.exists()
