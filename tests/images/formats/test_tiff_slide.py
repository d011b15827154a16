"""Large TIFFs and pyramids: windows are what the whole file holds there, and damage is named."""

import numpy as np
import pytest
import tifffile

from promise_seg.errors import ImageError
from promise_seg.images.formats import tiff_slide
from promise_seg.images.formats.tiff import TiffStack
from promise_seg.images.formats.tiff_slide import TiffSlide, open_slide
from promise_seg.images.geometry import Box
from promise_seg.images.readers import content_sha256
from promise_seg.images.reading import make_reading

COLOURS = np.random.default_rng(0).integers(0, 255, (150, 210, 3)).astype(np.uint8)
DEEP = COLOURS[..., 0].astype(np.uint16) * 200 + 7
KINDS = {
    "tiles": {"tile": (64, 48), "compression": "zlib"},
    "strips": {"rowsperstrip": 17, "compression": "zlib"},
    "mapped": {},
    "lzw": {"tile": (32, 32), "compression": "lzw", "predictor": True},
    "big": {"tile": (32, 32), "byteorder": ">", "bigtiff": True},
}
CODED = {
    "jpeg": {"tile": (64, 48), "compression": "jpeg"},
    "jpeg in strips": {"rowsperstrip": 16, "compression": "jpeg"},
    "jpeg as rgb": {"tile": (64, 48), "compression": "jpeg", "compressionargs": {"outcolorspace": "rgb"}},
    "jpeg 2000": {"tile": (64, 48), "compression": "jpeg2000"},
}
WINDOWS = [Box(0, 0, 210, 150), Box(50, 33, 201, 140), Box(63, 64, 64, 65), Box(200, 149, 210, 150)]


def write(path, values, levels=1, **options):
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    header = {name: options.pop(name) for name in ("byteorder", "bigtiff") if name in options}
    with tifffile.TiffWriter(path, **header) as writer:
        writer.write(values, photometric=photometric, subifds=levels - 1, **options)
        for level in range(1, levels):
            smaller = values[:: 2**level, :: 2**level]
            writer.write(smaller, photometric=photometric, subfiletype=1, **options)
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", [COLOURS, DEEP], ids=["colours", "deep"])
def test_a_window_is_a_part_of_the_whole(kind, values, tmp_path):
    path = write(tmp_path / "a.tif", values, levels=3, **KINDS[kind])
    for level in range(3):
        slide, whole = TiffSlide(path, level=level), values[:: 2**level, :: 2**level]
        assert slide.size == whole.shape[:2]
        assert np.array_equal(slide.values(0), whole)
        for box in WINDOWS if level == 0 else ():
            assert np.array_equal(slide.window(box), whole[box.top : box.bottom, box.left : box.right])


@pytest.mark.parametrize("kind", [*CODED, "grey"])
def test_a_window_of_a_jpeg_is_a_part_of_the_whole(kind, tmp_path):
    values, options = (COLOURS[..., 0], CODED["jpeg"]) if kind == "grey" else (COLOURS, CODED[kind])
    path = write(tmp_path / "a.tif", values, levels=2, **options)
    for level in range(2):
        slide, whole = TiffSlide(path, level=level), tifffile.imread(path, level=level)
        assert slide.is_readable
        assert np.array_equal(slide.values(0), whole)
        for box in WINDOWS if level == 0 else ():
            assert np.array_equal(slide.window(box), whole[box.top : box.bottom, box.left : box.right])


@pytest.mark.parametrize("window", ["own", "percentile"])
@pytest.mark.parametrize("values", [COLOURS, DEEP], ids=["colours", "deep"])
def test_a_part_has_the_grey_levels_of_the_whole(values, window, tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_slide, "_STRIP_ROWS", 40)
    path = write(tmp_path / "a.tif", values, tile=(64, 48))
    reading, box = make_reading(window=window), WINDOWS[1]
    expected = reading.rgb(TiffStack(path), 0)[box.top : box.bottom, box.left : box.right]
    assert np.array_equal(reading.rgb_in(TiffSlide(path), 0, box), expected)
    assert np.array_equal(reading.rgb_in(TiffStack(path), 0, box), expected)


def test_files_are_read_by_windows_where_they_are_large_or_a_level_is_asked_for(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif", COLOURS, levels=2, tile=(64, 48))
    assert isinstance(make_reading(tile=64).open(path), TiffStack)
    assert make_reading(level=1).open(path).size == (75, 105)
    monkeypatch.setattr(tiff_slide, "LEAST_PIXELS", 1000)
    tiff_slide._opened.cache_clear()
    assert isinstance(make_reading(tile=64).open(path), TiffSlide)
    assert isinstance(make_reading().open(path), TiffStack)


def test_levels_have_hashes_of_their_own(tmp_path):
    path = write(tmp_path / "a.tif", COLOURS, levels=2, tile=(64, 48))
    fine, coarse = make_reading(), make_reading(level=1)
    assert content_sha256(fine.open(path), 0, fine) != content_sha256(coarse.open(path), 0, coarse)


def test_a_level_that_there_is_not(tmp_path):
    path = write(tmp_path / "a.tif", COLOURS, levels=2, tile=(64, 48))
    with pytest.raises(ImageError, match=r"has no level 4; it has 2, counted from 0: 210 x 150, 105 x 75 pixels"):
        open_slide(path, 4)
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"a\.png: has no level 1, as it is not a pyramid"):
        open_slide(picture, 1)


def test_a_damaged_tile_is_named_by_its_place_and_others_are_read(tmp_path):
    path = write(tmp_path / "a.tif", COLOURS, levels=2, tile=(64, 48), compression="zlib")
    with tifffile.TiffFile(path) as file:
        at, count = file.pages[0].dataoffsets[6], file.pages[0].databytecounts[6]
    content = bytearray(path.read_bytes())
    content[at : at + count] = b"\xff" * count
    path.write_bytes(content)
    slide = TiffSlide(path)
    assert np.array_equal(slide.window(Box(0, 0, 48, 64)), COLOURS[:64, :48])
    with pytest.raises(ImageError, match=r"the tile at \(48, 64\) of level 0 is damaged: .*give another --level"):
        slide.window(Box(0, 0, 210, 150))


def test_a_file_that_ends_too_early(tmp_path):
    path = write(tmp_path / "a.tif", COLOURS, tile=(64, 48), compression="zlib")
    slide = TiffSlide(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ImageError, match=r"of level 0 is damaged: .*bytes too early"):
        slide.window(Box(0, 0, 210, 150))


@pytest.mark.parametrize("name", ["palette", "channels", "stack", "float"])
def test_what_is_shown_otherwise_than_stored_is_read_whole(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_slide, "LEAST_PIXELS", 1000)
    path = tmp_path / f"{name}.tif"
    grey = COLOURS[..., 0]
    if name == "palette":
        tifffile.imwrite(path, grey, photometric="palette", colormap=np.zeros((3, 256), np.uint16))
    elif name == "channels":
        tifffile.imwrite(path, np.moveaxis(COLOURS, 2, 0), photometric="rgb", planarconfig="separate")
    elif name == "stack":
        tifffile.imwrite(path, np.stack([grey, grey]), photometric="minisblack")
    else:
        tifffile.imwrite(path, grey.astype(np.float32), photometric="minisblack")
    assert open_slide(path) is None
