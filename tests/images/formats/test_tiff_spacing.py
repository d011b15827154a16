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


@pytest.mark.parametrize(("axes", "between"), [("ZYX", 0.002), ("TYX", None), ("TZYX", None), ("ZTYX", None)])
def test_slices_are_apart_where_all_pages_lie_along_z(axes, between, tmp_path):
    stack = STACK if len(axes) == 3 else np.stack([STACK, STACK])
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata={"axes": axes, "PhysicalSizeZ": 2} | OME)
    assert found(tmp_path / "a.ome.tif") == (pytest.approx((0.00025, 0.0005)), between)


@pytest.mark.parametrize(
    ("unit", "spacing"),
    [
        ("um", (0.00025, 0.0005)),
        ("micron", (0.00025, 0.0005)),
        ("micrometers", (0.00025, 0.0005)),
        ("\\u00B5m", (0.00025, 0.0005)),
        ("\\u03BCm", (0.00025, 0.0005)),
        ("mm", (0.25, 0.5)),
        ("pixel", None),
        ("inch", None),
        ("cm", None),
        ("", None),
    ],
)
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


@pytest.mark.parametrize("second", [0.5, 0.7])
def test_pictures_of_different_sizes_in_one_file_have_none(second, tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for size in (0.5, second):
            file.write(STACK[0], metadata={"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": 0.25})
    assert found(tmp_path / "a.ome.tif") == (pytest.approx((0.00025, 0.0005)) if second == 0.5 else None, None)


@pytest.mark.parametrize(
    ("words", "size"),
    [("a|MPP = 0.25|b", 0.00025), ("a |MPP = 2.5e-1", 0.00025), ("x MPP = 9|MPP = 0.5", 0.0005), ("a|MPP = x|", None)],
)
def test_words_of_aperio(words, size, tmp_path):
    words = f"Aperio Image Library v11\n{words}"
    tifffile.imwrite(tmp_path / "a.svs", STACK[0], tile=(16, 16), description=words, metadata=None)
    assert found(tmp_path / "a.svs")[0] == (None if size is None else pytest.approx((size, size)))


@pytest.mark.parametrize("value", ["1e-300", "9" * 400, "-1", "inf"])
def test_lengths_that_cannot_be(value, tmp_path):
    facts = {"axes": "YX", "PhysicalSizeX": value, "PhysicalSizeY": 0.25}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], metadata=facts)
    assert found(tmp_path / "a.ome.tif") == (None, None)


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
