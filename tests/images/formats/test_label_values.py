"""Masks are their values, however a file shows them; where a file leaves that open, it is said."""

import struct
import zlib

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.formats.label_values import white_is_zero_in_tiff
from promise_seg.images.formats.opening import open_source
from promise_seg.images.masks import MaskRule
from promise_seg.images.readers import mask_source, read_image, read_labels
from tests.files import write_dicom, write_series
from tests.helpers import read_mask

MASK = np.zeros((12, 16), bool)
MASK[3:7, 4:9] = True
BYTES = MASK.astype(np.uint8) * 255
CLASSES = MASK.astype(np.uint8) + 2 * np.eye(12, 16, dtype=np.uint8) * ~MASK


def note_on(path):
    return mask_source(path).label_note


def save_palette(path, indices, palette):
    picture = Image.fromarray(np.asarray(indices, np.uint8), "P")
    picture.putpalette([value for colour in palette for value in colour])
    picture.save(path)
    return path


def save_png(path, bits, values):
    """Write a PNG of grey levels of fewer than 8 bits, as ``pypng`` does and Pillow cannot."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    spread_bits = np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :]
    rows = np.packbits(spread_bits.reshape(len(values), -1), axis=1)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def bool_of_tifffile(path):
    tifffile.imwrite(path, MASK)


def bool_without_metadata(path):
    tifffile.imwrite(path, MASK, metadata=None)


def bool_of_imageio(path):
    imageio.imwrite(path, MASK)


def inverting_table_of_fiji(path):
    tifffile.imwrite(path, BYTES, photometric="miniswhite", description="ImageJ=1.54f\n", metadata=None)


def inverting_table_of_imagej_hyperstack(path):
    tifffile.imwrite(path, BYTES, imagej=True, photometric="miniswhite")


@pytest.mark.parametrize(
    "write",
    [bool_of_tifffile, bool_without_metadata, bool_of_imageio, inverting_table_of_fiji,
     inverting_table_of_imagej_hyperstack],
)  # fmt: skip
def test_programs_that_declare_zero_white_but_mean_values(tmp_path, write):
    path = tmp_path / "m.tif"
    write(path)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.MINISWHITE
    assert np.array_equal(read_mask(path), MASK)
    assert np.array_equal(read_mask(path, MaskRule(threshold=127)), MASK)
    assert note_on(path) is None


def test_every_page_of_a_stack_means_its_values(tmp_path):
    pages = np.stack([MASK, ~MASK, MASK])
    tifffile.imwrite(tmp_path / "m.tif", pages)
    image = tmp_path / "i.tif"
    tifffile.imwrite(image, np.zeros(pages.shape, np.uint8), photometric="minisblack")
    for index, page in enumerate(pages):
        assert np.array_equal(read_mask(tmp_path / "m.tif", None, open_source(image), index), page)


def test_an_inverting_table_of_imagej_keeps_the_numbers_of_classes(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", CLASSES, imagej=True, photometric="miniswhite")
    assert np.array_equal(read_labels(tmp_path / "m.tif"), CLASSES)


def test_programs_that_save_what_they_show_mean_white(tmp_path):
    for name, stored in (("1.tif", ~MASK), ("8.tif", 255 - BYTES)):
        tifffile.imwrite(tmp_path / name, stored, photometric="miniswhite", software="ImageMagick 7.1", metadata=None)
        assert np.array_equal(read_mask(tmp_path / name), MASK)
        assert note_on(tmp_path / name) is None


def test_fax_codes_mean_white_and_it_is_said(tmp_path):
    Image.fromarray(MASK).save(tmp_path / "m.tif", compression="group4", tiffinfo={262: 0})
    assert np.array_equal(read_mask(tmp_path / "m.tif"), MASK)
    assert "compressed like a fax" in note_on(tmp_path / "m.tif")
    Image.fromarray(MASK).save(tmp_path / "black.tif", compression="group4")
    assert np.array_equal(read_mask(tmp_path / "black.tif"), MASK)
    assert note_on(tmp_path / "black.tif") is None


@pytest.mark.parametrize("stored", [MASK, BYTES, CLASSES], ids=["bits", "bytes", "classes"])
def test_values_of_an_unknown_program_are_taken_as_they_are_and_it_is_said(tmp_path, stored):
    tifffile.imwrite(tmp_path / "m.tif", stored, photometric="miniswhite", software=False, metadata=None)
    assert np.array_equal(read_labels(tmp_path / "m.tif"), stored)
    assert "declares 0 to be white, but its values are taken as they are" in note_on(tmp_path / "m.tif")


def test_an_image_is_seen_as_its_maker_saw_it(tmp_path):
    """Bool arrays are bright where they are true; an inverting lookup table inverts."""
    tifffile.imwrite(tmp_path / "bool.tif", MASK)
    tifffile.imwrite(tmp_path / "fiji.tif", BYTES, imagej=True, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "bool.tif")[..., 0], BYTES)
    assert np.array_equal(read_image(tmp_path / "fiji.tif")[..., 0], 255 - BYTES)
    assert open_source(tmp_path / "bool.tif").differs_by(0) == {"inverted": False}
    assert open_source(tmp_path / "fiji.tif").differs_by(0) == {}


def test_software_is_known_however_it_is_spelt():
    found = white_is_zero_in_tiff("GraphicsMagick 1.3.38 Q16", "", 8, is_fax=False)
    assert (found.of_image, found.of_labels, found.note) == (True, True, None)


@pytest.mark.parametrize("stored", [MASK.astype(np.uint8), CLASSES.astype(np.uint16)], ids=["mask", "classes"])
def test_monochrome1_is_for_the_eye(tmp_path, stored):
    """As in a mask that was given the header of an X-ray; other readers return the same values."""
    path = write_dicom(tmp_path / "m.dcm", stored, PhotometricInterpretation="MONOCHROME1")
    image = open_source(write_dicom(tmp_path / "i.dcm", np.zeros((12, 16), np.int16)))
    assert np.array_equal(read_labels(path, image), stored)
    assert "declares 0 to be white" in note_on(path)


def test_a_series_of_masks_is_not_rescaled(tmp_path):
    stack = np.stack([CLASSES.astype(np.uint16)] * 3)
    masks = write_series(tmp_path, stack, RescaleSlope=1, RescaleIntercept=-1024)
    assert np.array_equal(open_source(masks).values(1), CLASSES - 1024.0)
    assert np.array_equal(read_labels(masks, None, 1), CLASSES)
    assert np.array_equal(read_labels(masks, open_source(masks), 1), CLASSES)


BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)


@pytest.mark.parametrize("suffix", ["png", "gif", "tif", "bmp"])
@pytest.mark.parametrize("palette", [(WHITE, BLACK), (RED, BLACK)], ids=["white", "red"])
def test_black_is_the_background_of_a_palette_of_two(tmp_path, suffix, palette):
    path = save_palette(tmp_path / f"m.{suffix}", ~MASK, palette)
    assert np.array_equal(read_mask(path), MASK)
    assert note_on(path) is None


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_other_palettes_are_indices(tmp_path, suffix):
    for palette in ((BLACK, RED, GREEN), (BLACK, RED, RED), (WHITE, RED, GREEN), (BLACK, BLACK, RED)):
        path = save_palette(tmp_path / f"m.{suffix}", CLASSES, palette)
        assert np.array_equal(read_labels(path), CLASSES)
        assert note_on(path) is None


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_it_is_said_where_another_index_than_zero_is_black(tmp_path, suffix):
    path = save_palette(tmp_path / f"m.{suffix}", CLASSES, (RED, GREEN, BLACK))
    assert np.array_equal(read_labels(path), CLASSES)
    assert "0 is in colour (255, 0, 0) and 2 is black" in note_on(path)


def test_a_gif_of_greys_is_a_grey_picture(tmp_path):
    """It cannot be saved otherwise, and the writer counts the greys of each file anew."""
    for classes in (CLASSES * 5, MASK.astype(np.uint8) * 10):
        Image.fromarray(classes).save(tmp_path / "m.gif")
        assert np.array_equal(read_labels(tmp_path / "m.gif"), classes)
        assert note_on(tmp_path / "m.gif") is None


def test_greys_of_a_png_are_indices_if_they_ascend_and_it_is_said(tmp_path):
    greys = [(0,) * 3, (100,) * 3, (200,) * 3]
    path = save_palette(tmp_path / "up.png", CLASSES, greys)
    assert np.array_equal(read_labels(path), CLASSES)
    assert "2 is shown as 200; the indices are taken as labels" in note_on(path)
    path = save_palette(tmp_path / "mixed.png", CLASSES, greys[::-1])
    assert np.array_equal(read_labels(path), (2 - CLASSES) * 100)
    path = save_palette(tmp_path / "same.png", CLASSES, [(value,) * 3 for value in range(9)])
    assert np.array_equal(read_labels(path), CLASSES)
    assert note_on(path) is None


def test_the_palette_of_imagej_is_for_the_eye(tmp_path):
    table = np.zeros((3, 256), np.uint16)
    table[:, 0] = 65535
    for how in ({"description": "ImageJ=1.54f\n", "metadata": None}, {}):
        tifffile.imwrite(tmp_path / "m.tif", MASK.astype(np.uint8), photometric="palette", colormap=table, **how)
        assert np.array_equal(read_mask(tmp_path / "m.tif"), MASK)


@pytest.mark.parametrize("most", [2, 7, 100, 254, 300, 4095])
@pytest.mark.parametrize("is_plain", [True, False])
def test_classes_of_a_pgm_are_not_stretched(tmp_path, most, is_plain):
    labels = CLASSES.astype(np.uint16)
    labels[0, 1] = most
    stored = labels.astype(np.uint8 if most < 256 else ">u2").tobytes()
    if is_plain:
        stored = " ".join(map(str, labels.ravel())).encode()
    (tmp_path / "m.pgm").write_bytes(b"P%d\n16 12\n%d\n" % (2 if is_plain else 5, most) + stored)
    assert np.array_equal(read_labels(tmp_path / "m.pgm"), labels)


@pytest.mark.parametrize(("bits", "factor"), [(2, 85), (4, 17)])
def test_few_bits_of_a_png_are_read_as_others_read_them_and_it_is_said(tmp_path, bits, factor):
    path = save_png(tmp_path / "m.png", bits, CLASSES)
    assert np.array_equal(read_labels(path), CLASSES * factor)
    assert f"has {bits} bits for each grey level" in note_on(path)
    assert f"1 as {factor}" in note_on(path)
    path = save_png(tmp_path / "two.png", bits, MASK.astype(np.uint8) * (2**bits - 1))
    assert np.array_equal(read_mask(path), MASK)
    assert note_on(path) is None


def test_transparency_that_may_be_the_mask_is_refused(tmp_path):
    with_alpha = np.stack([np.zeros_like(BYTES), BYTES], -1)
    extra = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "m.tif", with_alpha, **extra)
    with pytest.raises(ImageError, match=r"m\.tif: a mask with transparency"):
        read_mask(tmp_path / "m.tif")
    assert read_image(tmp_path / "m.tif").shape == (12, 16, 3)
    tifffile.imwrite(tmp_path / "m.tif", np.stack([BYTES, np.full_like(BYTES, 255)], -1), **extra)
    assert np.array_equal(read_mask(tmp_path / "m.tif"), MASK)
