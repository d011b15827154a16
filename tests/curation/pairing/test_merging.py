"""Objects to instance maps: what they hold, what is left out, and that nothing of others is overwritten."""

import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.curation.pairing import merging
from promise_seg.curation.pairing.folders import pair_folder
from promise_seg.curation.pairing.merging import merge_objects
from promise_seg.errors import ManifestError, PromiseError
from promise_seg.images.readers import read_labels

SHAPE = (6, 8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def spot(*rows_columns, shape=SHAPE, value=255):
    """A mask with a square of 2 x 2 pixels at each place."""
    mask = np.zeros(shape, np.uint8)
    for row, column in rows_columns:
        mask[row : row + 2, column : column + 2] = value
    return mask


def add_case(folder, name, masks):
    """An image as the bowl has them, with an alpha channel, and its masks by their names."""
    save(folder / name / f"images/{name}.png", np.full((*SHAPE, 4), 255, np.uint8))
    for mask, pixels in masks.items():
        save(folder / name / f"masks/{mask}.png", pixels)


@pytest.fixture
def folder(tmp_path):
    add_case(tmp_path / "data", "7a", {"b": spot((1, 1)), "a": spot((0, 0)), "c": spot((4, 4), value=1)})
    add_case(tmp_path / "data", "8b", {"x": spot((0, 0)), "y": spot()})
    return tmp_path / "data"


def merge(folder):
    return merge_objects(pair_folder(folder).pairs, folder, folder.parent / "merged")


def test_objects_are_numbered_by_name_and_later_ones_lie_above(folder, tmp_path):
    found = merge(folder)
    assert [pair.mask for pair in found.pairs] == [tmp_path / "merged/7a.png", tmp_path / "merged/8b.png"]
    assert [pair.objects for pair in found.pairs] == [(), ()]
    assert (found.objects, found.made, found.kept) == (5, 2, 0)
    expected = np.zeros(SHAPE, int)
    expected[0:2, 0:2], expected[1:3, 1:3], expected[4:6, 4:6] = 1, 2, 3
    labels = read_labels(tmp_path / "merged/7a.png")
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, expected)
    (remark,) = found.remarks()
    assert remark.startswith("masks of objects overlap in 1 image(s)")
    assert remark.endswith("7a/images/7a.png")


def test_more_objects_than_8_bits_can_number(tmp_path):
    folder = tmp_path / "data"
    save(folder / "a/images/a.png", np.zeros((20, 20), np.uint8))
    for number in range(300):
        mask = np.zeros((20, 20), np.uint8)
        mask.flat[number] = 1
        save(folder / f"a/masks/{number:03}.png", mask)
    merge(folder)
    np.testing.assert_array_equal(read_labels(tmp_path / "merged/a.png").ravel()[:301], [*range(1, 301), 0])


def test_a_second_run_keeps_what_is_there_and_makes_anew_what_changed(folder, tmp_path):
    merge(folder)
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "merged").iterdir()}
    again = merge(folder)
    assert (again.objects, again.made, again.kept) == (5, 0, 2)
    assert times == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "merged").iterdir()}
    save(folder / "8b/masks/z.png", spot((3, 3)))
    changed = merge(folder)
    assert (changed.objects, changed.made, changed.kept) == (6, 1, 1)
    assert read_labels(tmp_path / "merged/8b.png")[3, 3] == 3


def broken(path):
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (broken, r"masks/b\.png: damaged or truncated"),
        (
            lambda path: save(path, spot(shape=(5, 8))),
            r"masks/b\.png: the mask has 8 x 5 pixels, but its image .* 8 x 6",
        ),
        (lambda path: save(path, spot((0, 0)) + spot((3, 3), value=7)), r"masks/b\.png: has 3 values from 0 to 255"),
        (lambda path: broken(path.parents[1] / "images/7a.png"), r"images/7a\.png: damaged or truncated"),
    ],
)
def test_an_image_with_a_mask_that_cannot_be_used_is_named_and_left_out(folder, tmp_path, spoil, message):
    spoil(folder / "7a/masks/b.png")
    found = merge(folder)
    assert [pair.stem for pair in found.pairs] == ["8b"]
    assert not (tmp_path / "merged/7a.png").exists()
    (remark,) = found.remarks()
    assert remark.startswith("1 image(s) left out, because their masks cannot be merged: ")
    assert re.search(message, remark)


def test_nothing_left_is_an_error(folder, tmp_path):
    for name in ("7a/masks/a", "8b/masks/x"):
        broken(folder / f"{name}.png")
    with pytest.raises(ManifestError, match=r"data: no image is left, .*masks/a\.png: .*; .*masks/x\.png: "):
        merge(folder)
    assert not (tmp_path / "merged").exists()


def test_volumes_have_no_masks_of_objects(folder):
    save(folder / "8b/images/8b.png", np.zeros(SHAPE, np.uint8))
    (folder / "8b/images/8b.png").unlink()
    one, two = (Image.fromarray(np.full(SHAPE, value, np.uint8)) for value in (0, 1))
    one.save(folder / "8b/images/8b.tif", save_all=True, append_images=[two])
    assert "8b.tif: has 2 slice(s) and 2 masks of objects; expected one slice" in merge(folder).remarks()[0]


@pytest.mark.parametrize("write", [lambda p: save(p, spot()), lambda p: p.write_text("mine")])
def test_files_of_others_are_not_overwritten(folder, tmp_path, write):
    (tmp_path / "merged").mkdir()
    write(tmp_path / "merged/8b.png")
    before = (tmp_path / "merged/8b.png").read_bytes()
    with pytest.raises(PromiseError, match=r"8b\.png: already exists, and is not a merged mask"):
        merge(folder)
    assert (tmp_path / "merged/8b.png").read_bytes() == before


def test_pairs_with_one_mask_stay_as_they_are(folder):
    add_case(folder, "9c", {"9c": spot((0, 0))})
    pairs = pair_folder(folder).pairs
    assert merge(folder).pairs[2] == pairs[2]


def test_images_of_several_channels_have_masks_of_objects_too(folder, tmp_path):
    stack = np.stack([np.asarray(Image.open(folder / "7a/images/7a.png").convert("L"))] * 5)
    (folder / "7a/images/7a.png").unlink()
    tifffile.imwrite(folder / "7a/images/7a.tif", stack, photometric="minisblack", metadata={"axes": "CYX"})
    assert merge(folder).made == 2


@pytest.mark.parametrize("error", [ZeroDivisionError("odd"), MemoryError()])
def test_whatever_one_image_runs_into_leaves_it_out_alone(folder, monkeypatch, error):
    made = merging.instance_map
    broken = []

    def odd(pair, numbers):
        broken.append(pair.image)
        if len(broken) == 1:
            raise error
        return made(pair, numbers)

    monkeypatch.setattr(merging, "instance_map", odd)
    done = merge(folder)
    assert len(done.problems) == 1
    assert str(broken[0]) in done.problems[0]
    assert done.made == len(broken) - 1
