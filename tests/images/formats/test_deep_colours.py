"""Colours and transparency with more than 8 bits are read with all their bits."""

import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.formats import deep_colours
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_image, read_labels

DEEP = np.random.default_rng(0).integers(0, 4096, (20, 30, 3)).astype(np.uint16)


def write_deep(path, values, most=65535):
    """Write values (H, W[, C]) with more than 8 bits in the format of the suffix."""
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(values))
    elif path.suffix in {".jp2", ".j2k"}:
        bits = most.bit_length()
        options = {"reversible": True, "codecformat": path.suffix[1:], "bitspersample": bits}
        path.write_bytes(imagecodecs.jpeg2k_encode(values, **options))
    elif path.stem == "text":
        words = b"# depth\n" + b" ".join(b"%d" % one for one in values.ravel())
        path.write_bytes(b"P3\n%d %d\n%d\n" % (values.shape[1], values.shape[0], most) + words)
    else:
        header = b"P6\n%d %d\n%d\n" % (values.shape[1], values.shape[0], most)
        path.write_bytes(header + values.astype(">u2").tobytes())
    return path


@pytest.mark.parametrize(
    ("name", "most"), [("a.png", 65535), ("a.jp2", 65535), ("a.j2k", 4095), ("a.ppm", 65535), ("text.ppm", 5000)]
)
def test_sixteen_bits_of_colours_are_kept(name, most, tmp_path):
    path = write_deep(tmp_path / name, DEEP, most)
    assert np.array_equal(open_source(path).values(0), DEEP)
    tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="rgb")
    assert np.array_equal(read_image(path), read_image(tmp_path / "a.tif"))
    assert open_source(path).differs_by(0) == {"bits": 16}


@pytest.mark.parametrize("suffix", [".png", ".jp2"])
@pytest.mark.parametrize("samples", [2, 4])
def test_sixteen_bits_beside_transparency_are_kept(samples, suffix, tmp_path):
    opaque = np.full((20, 30, 1), 65535, np.uint16)
    values = np.concatenate([DEEP[..., : samples - 1], opaque], -1)
    expected = DEEP[..., 0] if samples == 2 else DEEP
    path = write_deep(tmp_path / f"a{suffix}", values)
    assert np.array_equal(open_source(path).values(0), expected)
    values[3, 4, -1] = 0
    with pytest.raises(ImageError, match="a mask with transparency"):
        read_labels(write_deep(tmp_path / f"b{suffix}", values))


@pytest.mark.parametrize("name", ["a.png", "grey.png", "a.jp2", "a.ppm"])
def test_labels_above_255_are_kept_in_three_equal_channels(name, tmp_path):
    labels = np.zeros((20, 30), np.uint16)
    labels[3:9, 4:20], labels[12:15, 3:9] = 1, 300
    channels = [labels, np.full_like(labels, 65535)] if name == "grey.png" else [labels] * 3
    assert np.array_equal(read_labels(write_deep(tmp_path / name, np.dstack(channels))), labels)


@pytest.mark.parametrize("bits", [4, 12])
def test_labels_of_jpeg_2000_with_any_number_of_bits(bits, tmp_path):
    labels = (np.arange(600).reshape(20, 30) % 6).astype(np.uint8 if bits <= 8 else np.uint16)
    assert np.array_equal(read_labels(write_deep(tmp_path / "a.jp2", labels, 2**bits - 1)), labels)


def test_eight_bits_widened_to_sixteen_are_read_as_eight(tmp_path):
    """So that what was read rightly by earlier versions keeps its pixels and its hash."""
    eight = (DEEP >> 4).astype(np.uint8)
    source = open_source(write_deep(tmp_path / "a.png", eight * np.uint16(257)))
    assert np.array_equal(source.values(0), eight)
    assert source.differs_by(0) == {}


def test_deep_colours_are_turned_upright(tmp_path):
    path = write_deep(tmp_path / "a.png", DEEP)
    exif = Image.Exif()
    exif[0x0112] = 6
    block, content = exif.tobytes().removeprefix(b"Exif\0\0"), path.read_bytes()
    chunk = len(block).to_bytes(4) + b"eXIf" + block + zlib.crc32(b"eXIf" + block).to_bytes(4)
    path.write_bytes(content[:33] + chunk + content[33:])
    assert np.array_equal(open_source(path).values(0), np.rot90(DEEP, -1))


def test_values_that_contradict_those_of_pillow_are_refused(tmp_path, monkeypatch):
    path = write_deep(tmp_path / "a.png", DEEP * 16)
    monkeypatch.setattr(deep_colours, "_decoded", lambda *_: np.zeros_like(DEEP))
    with pytest.raises(ImageError, match=r"a\.png: has more than 8 bits for each colour, stored in an unusual way"):
        open_source(path)


def test_a_transparent_colour_is_not_transparency(tmp_path):
    """The file is RGB, and names a colour to show as transparent, which is ignored as in files of 8 bits."""
    path = write_deep(tmp_path / "a.png", DEEP)
    content, block = path.read_bytes(), DEEP[0, 0].astype(">u2").tobytes()
    chunk = len(block).to_bytes(4) + b"tRNS" + block + zlib.crc32(b"tRNS" + block).to_bytes(4)
    path.write_bytes(content[:33] + chunk + content[33:])
    assert np.array_equal(open_source(path).values(0), DEEP)
