"""YCbCr is converted to RGB, and colour spaces that cannot be converted are refused."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.tiff import TiffStack
from promise_seg.images.formats.tiff_slide import TiffSlide

RGB = np.random.default_rng(0).integers(0, 255, (20, 24, 3)).astype(np.uint8)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_ycbcr_is_converted(compression, tmp_path):
    Image.fromarray(RGB).convert("YCbCr").save(tmp_path / "a.tif", compression=compression)
    source = open_source(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(source.values(0) - expected).max() <= 1  # libtiff rounds otherwise
    assert source.differs_by(0) == {"colours": "converted"}


@pytest.mark.parametrize(
    ("tag", "value"), [(530, (2, 2)), (529, (1, 3) * 3), (532, (16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1))]
)
def test_other_ycbcr_is_refused(tag, value, tmp_path):
    Image.fromarray(RGB).convert("YCbCr").save(tmp_path / "a.tif", tiffinfo={529: (0.299, 0.587, 0.114)})
    open_source(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags[tag].overwrite(value)
    with pytest.raises(ImageError, match="a TIFF in YCbCr of an unusual kind; save it as RGB"):
        open_source(tmp_path / "a.tif")


@pytest.mark.parametrize(("photometric", "name"), [("separated", "CMYK"), ("cielab", "CIELAB"), ("icclab", "CIELAB")])
def test_other_colour_spaces_are_refused(photometric, name, tmp_path):
    values = np.zeros((20, 24, 4 if name == "CMYK" else 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric)
    with pytest.raises(ImageError, match=rf"a\.tif: a TIFF in {name}; save it as RGB"):
        open_source(tmp_path / "a.tif")


def test_jpeg_in_ycbcr_is_decoded_to_rgb_already(tmp_path):
    grey = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="rgb", compression="jpeg")
    source = open_source(tmp_path / "a.tif")
    assert np.abs(source.values(0).astype(int) - grey).max() < 4
    assert source.differs_by(0) == {}


@pytest.mark.parametrize("kind", [TiffStack, TiffSlide])
@pytest.mark.parametrize(("description", "is_converted"), [("Aperio Image Library v12", True), ("other", False)])
def test_jpeg_2000_of_aperio_in_ycbcr(description, is_converted, kind, tmp_path):
    """Its header says RGB. Other programs write RGB with the same code."""
    stored = np.full((64, 64, 3), (105, 97, 196), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.svs", stored, photometric="rgb", compression=33003, tile=(32, 32), description=description,
        metadata=None, compressionargs={"mct": False, "reversible": True},
    )  # fmt: skip
    source = kind(tmp_path / "a.svs")
    red = Image.new("YCbCr", (1, 1), (105, 97, 196)).convert("RGB").getpixel((0, 0))
    assert tuple(source.values(0)[3, 4]) == (red if is_converted else (105, 97, 196))
    assert source.differs_by(0) == ({"colours": "converted"} if is_converted else {})
