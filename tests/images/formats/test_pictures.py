import numpy as np
import pytest
from PIL import Image, ImageOps

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.masks import MaskRule
from promise_seg.images.readers import read_image
from tests.helpers import read_mask

RGB = np.random.default_rng(0).integers(0, 255, (5, 6, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "tif"])
def test_lossless_pictures_come_back_as_they_were(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB).save(path, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(read_image(path), RGB)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (2, lambda a: a[:, ::-1])],
)
def test_an_exif_orientation_is_applied_to_images_and_masks_alike(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = np.zeros((16, 32, 3), np.uint8)
    smooth[:8] = 200
    smooth[:, :16, 0] = 90
    Image.fromarray(smooth).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    seen = read_image(tmp_path / "a.jpg").astype(int)
    assert np.abs(seen - turn(smooth).astype(int)).max() < 12
    mask = np.zeros((16, 32), np.uint8)
    mask[:8, :16] = 255
    Image.fromarray(mask).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(read_mask(tmp_path / "m.png"), turn(mask) > 0)


def test_orientation_is_part_of_what_a_picture_is(tmp_path):
    """So that features stored for the unturned picture are not taken for it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(RGB).save(tmp_path / "plain.jpg")
    assert open_source(tmp_path / "turned.jpg").differs_by(0) == {"turned": 6}
    assert open_source(tmp_path / "plain.jpg").differs_by(0) == {}


def test_sixteen_bits_keep_their_values(tmp_path):
    deep = np.array([[1000, 1500], [2000, 3000]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "d.png")
    source = open_source(tmp_path / "d.png")
    assert source.values(0).tolist() == deep.tolist()
    assert read_image(tmp_path / "d.png")[..., 0].tolist() == [[0, 64], [128, 255]]


def test_palettes_are_colours_of_images_and_labels_of_masks(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "P")
    picture.putpalette([0, 0, 0, 200, 10, 20, 30, 40, 250])
    picture.save(tmp_path / "p.png")
    source = open_source(tmp_path / "p.png")
    assert source.values(0)[0, 1].tolist() == [200, 10, 20]
    assert source.as_stored(0).tolist() == [[0, 1], [2, 0]]


def test_a_class_of_a_grey_palette_has_one_number_in_all_files(tmp_path):
    """Also where a file shows but one or two of the classes."""
    for shown in ([0, 1, 2], [0, 1], [0, 2], [1], [2]):
        labels = np.array([shown], np.uint8)
        picture = Image.fromarray(labels, "P")
        picture.putpalette([0, 0, 0, 128, 128, 128, 255, 255, 255])
        picture.save(tmp_path / f"{shown}.png")
        assert open_source(tmp_path / f"{shown}.png").as_stored(0).tolist() == labels.tolist()


def test_a_palette_of_two_greys_is_black_and_white(tmp_path):
    """Whichever comes first, and also where a mask is empty or full."""
    for shown in ([0, 1], [0], [1]):
        picture = Image.fromarray(np.array([shown], np.uint8), "P")
        picture.putpalette([255, 255, 255, 0, 0, 0])
        picture.save(tmp_path / "p.png")
        assert open_source(tmp_path / "p.png").as_stored(0).tolist() == [[255 * (1 - index) for index in shown]]


def test_a_file_that_was_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    assert np.array_equal(read_image(path), RGB)
    Image.fromarray(255 - RGB).save(path)
    assert np.array_equal(read_image(path), 255 - RGB)


def test_damage_is_one_line_with_the_path(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"a\.png: damaged or truncated") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_masks_in_colour_are_colours_and_those_of_jpeg_in_grey_are_grey(tmp_path):
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:4, :, 0] = 200
    Image.fromarray(colours).save(tmp_path / "c.png")
    with pytest.raises(ImageError, match=r"c\.png: the mask is in colour"):
        read_mask(tmp_path / "c.png")
    grey = np.zeros((32, 32, 3), np.uint8)
    grey[8:24, 8:24] = 255
    Image.fromarray(grey).save(tmp_path / "g.jpg", quality=90)
    assert np.array_equal(read_mask(tmp_path / "g.jpg", MaskRule(threshold=127)), grey[..., 0] > 0)
    hidden = np.zeros((8, 8, 4), np.uint8)
    hidden[2:5, 2:5, 3] = 255
    Image.fromarray(hidden).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="a mask with transparency"):
        read_mask(tmp_path / "a.png")


def test_two_greys_of_a_palette_are_black_and_white_whatever_their_numbers(tmp_path):
    mask = np.zeros((6, 6), np.uint8)
    mask[2:4, 2:4] = 1
    picture = Image.fromarray(1 - mask, "P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.save(tmp_path / "p.png")
    assert np.array_equal(read_mask(tmp_path / "p.png"), mask == 1)


def test_single_bits_are_black_and_white_to_a_threshold(tmp_path):
    mask = np.eye(9, dtype=bool)
    Image.fromarray(mask).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png", MaskRule(threshold=127)), mask)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"\0" * 9, b""], ids=len)
def test_exif_that_cannot_be_parsed_says_nothing(tmp_path, exif):
    """Such pictures were once said to be damaged, although every pixel is there."""
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    source = open_source(tmp_path / "a.png")
    np.testing.assert_array_equal(source.values(0), pixels)
    assert source.turned == 1


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_an_orientation_that_there_is_not_says_nothing(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "a.png", exif=exif)
    assert open_source(tmp_path / "a.png").turned == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_though_another_tag_is_odd(tmp_path, orientation):
    """Pillow's own turning fails where it cannot write the other tags again."""
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[274], exif[270] = orientation, "a picture"
    data = exif.tobytes().replace(b"\x0e\x01\x02\x00", b"\x00\x01\x02\x00")  # ImageDescription as ImageWidth
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=data)
    plain = Image.Exif()
    plain[274] = orientation
    Image.fromarray(pixels).save(tmp_path / "plain.png", exif=plain)
    expected = ImageOps.exif_transpose(Image.open(tmp_path / "plain.png"))
    source = open_source(tmp_path / "a.png")
    np.testing.assert_array_equal(source.values(0), np.asarray(expected))
    assert source.turned == orientation
