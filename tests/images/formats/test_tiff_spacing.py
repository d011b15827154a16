"""How large pixels are by OME-TIFF, ImageJ and Aperio; the resolution for printing says nothing."""

import numpy as np
import pytest
import tifffile

from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.tiff_slide import TiffSlide
from promise_seg.images.reading import make_reading

STACK = np.random.default_rng(0).integers(0, 255, (3, 20, 30)).astype(np.uint8)
OME = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}


def found(path):
    source = open_source(path)
    return source.spacing, source.slice_spacing


@pytest.mark.parametrize(
    ("facts", "spacing"),
    [
        (OME, (0.00025, 0.0005)),  # micrometres, unless it says otherwise
        (OME | {"PhysicalSizeXUnit": "mm", "PhysicalSizeYUnit": "nm"}, (0.25e-6, 0.5)),
        (OME | {"PhysicalSizeXUnit": "pixel"}, None),
        ({"PhysicalSizeX": 0.5}, None),
        ({"PhysicalSizeX": 0, "PhysicalSizeY": 0.25}, None),
        ({"PhysicalSizeX": "NaN", "PhysicalSizeY": 0.25}, None),
        ({}, None),
    ],
)
def test_ome(facts, spacing, tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], metadata={"axes": "YX"} | facts)
    assert found(tmp_path / "a.ome.tif") == (None if spacing is None else pytest.approx(spacing), None)


@pytest.mark.parametrize(("axes", "between"), [("ZYX", 0.002), ("TYX", None)])
def test_slices_are_apart_where_pages_lie_along_z(axes, between, tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": axes, "PhysicalSizeZ": 2} | OME)
    assert found(tmp_path / "a.ome.tif") == (pytest.approx((0.00025, 0.0005)), between)


@pytest.mark.parametrize(
    ("unit", "spacing"),
    [("um", (0.00025, 0.0005)), ("micron", (0.00025, 0.0005)), ("\\u00B5m", (0.00025, 0.0005)), ("cm", (2.5, 5.0)),
     ("pixel", None), ("", None)],
)  # fmt: skip
def test_imagej(unit, spacing, tmp_path):
    facts = {"unit": unit, "spacing": 3.0, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(2, 4), metadata=facts)
    in_plane, between = found(tmp_path / "a.tif")
    assert in_plane == (None if spacing is None else pytest.approx(spacing))
    assert between == (None if spacing is None else pytest.approx(3 * 4 * spacing[0]))


@pytest.mark.parametrize("level", [0, 1])
def test_a_level_of_an_aperio_slide_has_pixels_of_its_own_size(level, tmp_path):
    words = "Aperio Image Library v11\n40x30 [0,0 40x30] |AppMag = 20|MPP = 0.4990|Left = 25.6"
    plain = {"photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(tmp_path / "a.svs") as file:
        file.write(np.zeros((128, 64, 3), np.uint8), tile=(16, 16), description=words, **plain)
        file.write(np.zeros((16, 8, 3), np.uint8), **plain)  # the thumbnail, which Aperio has in this place
        file.write(np.zeros((32, 16, 3), np.uint8), tile=(16, 16), **plain)
    slide = TiffSlide(tmp_path / "a.svs", level=level)
    assert slide.spacing == pytest.approx((0.000499 * 4**level,) * 2)


def test_the_resolution_for_printing_is_none(tmp_path):
    for unit in ("INCH", "CENTIMETER"):
        tifffile.imwrite(tmp_path / "a.tif", STACK[0], resolution=(72, 72), resolutionunit=unit)
        assert found(tmp_path / "a.tif") == (None, None)


@pytest.mark.parametrize(
    ("orientation", "spacing"), [(1, (0.00025, 0.0005)), (3, (0.00025, 0.0005)), (6, (0.0005, 0.00025))]
)
def test_a_picture_on_its_side_is_measured_as_it_is_shown(orientation, spacing, tmp_path):
    tag = ("Orientation", "H", 1, orientation, True)
    facts = {"axes": "YX"} | OME
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], metadata=facts, extratags=[tag])
    assert found(tmp_path / "a.ome.tif")[0] == pytest.approx(spacing)


def test_damaged_words_say_nothing(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], description="<?xml version='1.0'?><OME><Image", metadata=None)
    assert found(tmp_path / "a.tif") == (None, None)


def test_a_channel_of_a_stack_is_as_far_apart_as_the_stack(tmp_path):
    stack = np.stack([STACK, STACK], 1)
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata={"axes": "ZCYX", "PhysicalSizeZ": 2} | OME)
    one = make_reading(channels="1").open(tmp_path / "a.ome.tif")
    assert (one.spacing, one.slice_spacing) == (pytest.approx((0.00025, 0.0005)), 0.002)
