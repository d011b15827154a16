import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.masks import MaskRule
from promise_seg.images.readers import content_sha256, read_image, read_labels
from promise_seg.images.reading import make_reading
from promise_seg.storage.hashing import file_sha256
from promise_seg.vocabulary import Axis
from tests.files import write_nifti, write_series
from tests.helpers import read_mask


def save(path, array, mode=None):
    Image.fromarray(array, mode).save(path)
    return path


def test_colour_grey_alpha_and_deep_images_become_rgb(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (5, 6, 3)).astype(np.uint8)
    assert np.array_equal(read_image(save(tmp_path / "c.png", rgb)), rgb)
    grey = read_image(save(tmp_path / "g.png", rgb[..., 0]))
    assert np.array_equal(grey, np.repeat(rgb[..., :1], 3, 2))
    alpha = np.concatenate([rgb, np.full((5, 6, 1), 9, np.uint8)], 2)
    assert np.array_equal(read_image(save(tmp_path / "a.png", alpha)), rgb)
    deep = np.array([[1000, 1500], [2000, 3000]], np.uint16)
    assert read_image(save(tmp_path / "d.png", deep))[..., 0].tolist() == [[0, 64], [128, 255]]


@pytest.mark.parametrize("value", [1, 255])
def test_masks_of_any_one_value(tmp_path, value):
    mask = np.array([[0, 1], [1, 0]], bool)
    assert np.array_equal(read_mask(save(tmp_path / "m.png", mask.astype(np.uint8) * value)), mask)


def test_palette_and_bilevel_masks(tmp_path):
    mask = np.array([[0, 1], [1, 0]], np.uint8)
    palette = Image.fromarray(mask, "P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_mask(tmp_path / "p.png"), mask > 0)
    assert np.array_equal(read_mask(save(tmp_path / "b.png", mask > 0)), mask > 0)


def test_an_empty_mask_is_fine(tmp_path):
    assert not read_mask(save(tmp_path / "m.png", np.zeros((3, 3), np.uint8))).any()


def test_grey_values_need_a_threshold(tmp_path):
    path = save(tmp_path / "m.png", np.array([[0, 100], [200, 255]], np.uint8))
    with pytest.raises(ImageError, match=r"m\.png: a mask must have two values.*--mask-threshold"):
        read_mask(path)
    assert read_mask(path, MaskRule(threshold=127)).tolist() == [[False, False], [True, True]]


def test_missing_truncated_and_foreign_files(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")
    whole = save(tmp_path / "w.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))
    (tmp_path / "t.png").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"t\.png: damaged or truncated"):
        read_image(tmp_path / "t.png")
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(ImageError, match=r"x\.png: not an image"):
        read_image(tmp_path / "x.png")


def test_masks_whose_slices_cannot_be_told_to_fit_are_refused(tmp_path):
    volume = write_nifti(tmp_path / "v.nii", np.zeros((3, 4, 5), np.int16))
    series = write_series(tmp_path / "ct", count=5)
    pages, five = tmp_path / "pages.tif", tmp_path / "five.tif"
    tifffile.imwrite(pages, np.zeros((4, 12, 10), np.uint8), photometric="minisblack")
    tifffile.imwrite(five, np.zeros((5, 12, 10), np.uint8), photometric="minisblack")
    for mask, image, words in (
        (volume, open_source(pages), r"pages\.tif: its slices have no position"),
        (five, open_source(volume), r"five\.tif: its slices have no position"),
        (five, open_source(series, Axis.CORONAL), r"five\.tif: its slices have no position"),
        (five, open_source(series), r"five\.tif: its slices have no position"),
        (pages, open_source(five), r"pages\.tif has 4 slice\(s\) but its image .*five\.tif has 5"),
    ):
        with pytest.raises(ImageError, match=words):
            read_labels(mask, image, 0)
    assert read_labels(five, open_source(five), 4).shape == (12, 10)


@pytest.mark.slow
def test_a_series_of_masks_falls_on_its_images_by_place(tmp_path):
    """Whichever way the two were numbered."""
    labels = np.zeros((4, 12, 10), np.uint16)
    for number in range(4):
        labels[number, number] = 1
    image = open_source(write_series(tmp_path / "ct", count=4))
    masks = write_series(tmp_path / "masks", labels[::-1], step=-2.0, origin=(-10.0, -20.0, 36.0))
    for index in range(4):
        assert np.array_equal(read_labels(masks, image, index), labels[index])
    elsewhere = write_series(tmp_path / "elsewhere", labels, origin=(0.0, -20.0, 30.0))
    with pytest.raises(ImageError, match=r"lies up to 10\.0 mm away"):
        read_labels(elsewhere, image, 0)


def test_a_slice_of_a_series_is_what_decides_how_it_looks(tmp_path):
    """Its own file where it has a window or a level is given; all files where their range or percentiles decide."""

    def hashes(folder, window):
        source = open_source(folder)
        return content_sha256(source, 0, make_reading(window=window))

    for name, elements in (("plain", {}), ("windowed", {"WindowCenter": 40, "WindowWidth": 80})):
        folder = write_series(tmp_path / name, **elements)
        before = {window: hashes(folder, window) for window in ("own", "percentile", "lung")}
        path = open_source(folder).files[3]
        dataset = pydicom.dcmread(path)
        dataset.PixelData = dataset.PixelData[::-1]
        dataset.save_as(path)
        open_source.__globals__["_open"].cache_clear()
        changed = {window for window, old in before.items() if hashes(folder, window) != old}
        assert changed == ({"own", "percentile"} if name == "plain" else {"percentile"})


@pytest.mark.parametrize("window", ["own", "percentile", "lung", "own+own+own", "lung+percentile+own"])
@pytest.mark.parametrize("elements", [{}, {"WindowCenter": 40, "WindowWidth": 80}], ids=["plain", "windowed"])
def test_each_slice_of_a_series_has_a_hash_of_its_own(tmp_path, window, elements):
    """Whatever window: features are stored by it, so that slices of one hash would all have those of the first."""
    source = open_source(write_series(tmp_path / "ct", count=5, **elements))
    assert len({content_sha256(source, index, make_reading(window=window)) for index in range(5)}) == 5


def test_masks_in_colour_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.zeros((4, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(ImageError, match=r"m\.tif: the mask is in colour"):
        read_mask(tmp_path / "m.tif")


def test_what_a_picture_is_depends_on_how_it_is_read(tmp_path):
    path = write_nifti(tmp_path / "v.nii", np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    plain = save(tmp_path / "a.png", np.zeros((3, 3), np.uint8))
    assert content_sha256(open_source(plain), 0, make_reading()) == file_sha256(plain)
    hashes = {
        content_sha256(open_source(path, Axis(axis)), index, make_reading(window=window))
        for axis in ("axial", "coronal")
        for index in (0, 1)
        for window in ("own", "lung")
    }
    assert len(hashes) == 8
