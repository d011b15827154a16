"""Tiles as rows: each has its own part of image and mask, and a key of its own."""

import itertools

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.dataset import checks
from promise_seg.dataset.checks import check_rows, data_sha256
from promise_seg.dataset.manifest import read_manifest
from promise_seg.dataset.recent import RecentArrays
from promise_seg.dataset.tiles import is_divided, rows_to_learn, tile_grid, tile_of, tile_rows
from promise_seg.errors import ManifestError
from promise_seg.images.geometry import Box
from promise_seg.images.reading import Reading, make_reading
from promise_seg.inference.encoding import Sample
from promise_seg.vocabulary import Split
from tests.helpers import write_dataset


@pytest.fixture
def rows(tmp_path):
    """Images of 30 x 40 pixels; the object of the first is in its upper left corner alone."""
    manifest = write_dataset(tmp_path / "data", ("train", "train", "val", "test"))
    first = read_manifest(manifest)[0]
    mask = np.zeros((30, 40), np.uint8)
    mask[2:6, 3:8] = 255
    Image.fromarray(mask).save(first.mask)
    return check_rows(read_manifest(manifest), make_reading(tile=16, overlap=4))


def test_tiles_are_parts_of_the_image_and_of_its_mask(rows):
    whole = rows[1]
    found = tile_rows(whole)
    assert len(found) == 3 * 3
    image, mask = whole.image(), whole.mask()
    for one in found:
        place = slice(one.tile.top, one.tile.bottom), slice(one.tile.left, one.tile.right)
        assert np.array_equal(one.image(), image[place])
        assert np.array_equal(one.mask(), mask[place])
        assert one.foreground_pixels == np.count_nonzero(mask[place])
        assert (one.height, one.width, one.image_sha256) == (16, 16, whole.image_sha256)


def test_each_tile_has_views_and_features_of_its_own(rows, tiny_sam):
    samples = [Sample.of(one, tiny_sam, "stretch", 1) for one in (rows[1], *tile_rows(rows[1]))]
    assert len({sample.key(tiny_sam).digest() for sample in samples}) == 10
    assert len({str(sample.view) for sample in samples}) == 10


def test_images_that_are_no_larger_than_a_tile_stay_as_they_are(tmp_path):
    rows = check_rows(read_manifest(write_dataset(tmp_path / "data")), make_reading(tile=40))
    assert rows_to_learn(rows) == rows
    assert not any(is_divided(row) for row in rows)


def test_no_more_empty_tiles_are_learned_than_others_and_test_rows_are_not_divided(rows):
    found = rows_to_learn(rows)
    of_first = [one for one in found if one.row == rows[0].row]
    assert [one.foreground_pixels > 0 for one in of_first] == [True, False]
    assert [one.tile for one in found if one.row.split == Split.TEST] == [None]
    assert rows_to_learn(found) == found


def test_tiles_are_those_of_what_is_kept_of_an_image(rows):
    crop = Box(4, 6, 36, 30)
    cropped = rows[1].__class__(**vars(rows[1]) | {"crop": crop})
    boxes = [one.tile for one in tile_rows(cropped)]
    assert (min(box.left for box in boxes), max(box.right for box in boxes)) == (4, 36)
    assert (min(box.top for box in boxes), max(box.bottom for box in boxes)) == (6, 30)


def test_a_level_of_a_pyramid_is_learned_with_masks_of_its_size(tmp_path):
    manifest = write_dataset(tmp_path / "data", ("train",))
    (row,) = read_manifest(manifest)
    image = np.array(Image.open(row.image))
    with tifffile.TiffWriter(row.image.with_suffix(".tif")) as writer:
        large = np.repeat(np.repeat(image, 2, 0), 2, 1)
        writer.write(large, photometric="rgb", subifds=1, tile=(16, 16))
        writer.write(image, photometric="rgb", subfiletype=1, tile=(16, 16))
    manifest.write_text(manifest.read_text().replace("images/0.png", "images/0.tif"))
    rows = check_rows(read_manifest(manifest), make_reading(level=1, tile=16, overlap=4))
    assert np.array_equal(rows[0].image(), image)
    (first, *_) = tile_rows(rows[0])
    assert np.array_equal(first.image(), image[:16, :16])
    with pytest.raises(ManifestError, match="is 80 x 60 pixels but its mask"):
        check_rows(read_manifest(manifest), make_reading(tile=16, overlap=4))


def test_the_pixels_of_a_tile_are_read_anew_where_its_file_was_written_anew(rows):
    tile = tile_rows(rows[1])[4]
    before = tile.image()
    before[:] = 0  # which is a copy
    assert tile.image().any()
    Image.fromarray(np.full((30, 40, 3), 7, np.uint8)).save(tile.row.image)
    assert (tile.image() == 7).all()


def test_tiles_of_a_volume_have_the_labels_of_the_axis_that_it_is_read_along(tmp_path):
    rng, affine = np.random.default_rng(0), np.diag([1.0, 1.0, 1.0, 1.0])
    for name in ("image", "mask"):
        values = rng.integers(0, 2, (40, 40, 40)).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / f"{name}.nii")
    (tmp_path / "data.csv").write_text("image_name,train_type,mask_name\nimage.nii,train,mask.nii\n")
    for axis in ("axial", "sagittal"):
        whole = check_rows(read_manifest(tmp_path / "data.csv"), make_reading(tile=16, overlap=4, axis=axis))[20]
        tile = tile_rows(whole)[1]
        assert np.array_equal(tile.labels(), whole.labels()[tile.tile.slices])
        assert np.array_equal(tile.image(), whole.image()[tile.tile.slices])


def test_an_image_is_read_once_for_all_of_its_tiles(rows, monkeypatch):
    calls, rgb, labels = [], Reading.rgb, checks.read_labels
    monkeypatch.setattr(Reading, "rgb", lambda *given: calls.append("image") or rgb(*given))
    monkeypatch.setattr(checks, "read_labels", lambda *given: calls.append("labels") or labels(*given))
    tiles = [tile_of(rows[1], box) for box in itertools.chain(*tile_grid(rows[1]))]
    for one in tiles:
        one.image()
        one.of_class(1).labels()
    assert len(tiles) == 9
    assert calls == ["image", "labels"]


def test_data_with_other_tiles_are_other_data(rows):
    """Tiles without an object differ in nothing but their place."""
    empty = [one for one in tile_rows(rows[0]) if not one.foreground_pixels]
    assert data_sha256(empty[:1]) != data_sha256(empty[1:2])


def test_no_more_arrays_are_held_than_fit():
    recent, made = RecentArrays(250), []

    def make(number):
        made.append(number)
        return np.full(100, number, np.uint8)

    for number in (1, 2, 1, 3, 1, 2):  # 3 takes the place of 2
        assert (recent.get(number, lambda number=number: make(number)) == number).all()
    assert made == [1, 2, 3, 2]
    assert len(recent.get("large", lambda: np.zeros(300, np.uint8))) == 300
    part = recent.get(2, lambda: make(2), (slice(3, 5),))
    part[:] = 0  # which is a copy
    assert (recent.get(2, lambda: make(2), (slice(3, 5),)) == [2, 2]).all()


def test_a_tile_below_the_threshold_is_empty_where_its_mask_is_not(rows):
    """A tile may hold nothing but the noise of JPEG, in a mask that the check has found sound."""
    path = rows[0].row.mask
    mask = np.array(Image.open(path))
    mask[25, 35] = 4
    Image.fromarray(mask).save(path)
    found = tile_rows(check_rows([rows[0].row], make_reading(tile=16, overlap=4, mask_threshold=127))[0])
    assert [int(one.mask().sum()) for one in found] == [one.foreground_pixels for one in found]
    assert found[0].foreground_pixels == 20
    assert not found[-1].foreground_pixels
