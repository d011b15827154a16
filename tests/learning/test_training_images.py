"""What a run notes of its images, and which rows it then knows."""

import re
import shutil

import pytest
from PIL import Image

from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import CheckpointError
from promise_seg.learning.training_images import (
    TRAINING_IMAGES_FILE,
    TrainingImages,
    read_training_images,
    write_training_images,
)
from promise_seg.storage.sealed import opened
from promise_seg.vocabulary import Split
from tests.helpers import strict_json, write_dataset


def test_what_is_written_is_read_and_needs_no_order(checked, tmp_path):
    write_training_images(tmp_path / "a", checked)
    write_training_images(tmp_path / "b", checked[::-1])
    assert read_training_images(tmp_path / "a") == TrainingImages.of(checked)
    assert (tmp_path / "a" / TRAINING_IMAGES_FILE).read_bytes() == (tmp_path / "b" / TRAINING_IMAGES_FILE).read_bytes()
    lists = opened(strict_json(tmp_path / "a" / TRAINING_IMAGES_FILE))
    assert sorted(map(len, lists.values())) == sorted(
        2 * sum(row.row.split == split for row in checked) for split in (Split.TRAIN, Split.VAL)
    )  # the hash of the file, and that of the pixels
    assert read_training_images(tmp_path) is None


def test_an_image_is_known_under_any_name(checked, tmp_path):
    images = TrainingImages.of(checked)
    folder = tmp_path / "elsewhere"
    copy = write_dataset(folder, ("test",) * len(checked))
    for number, row in enumerate(checked):
        shutil.copy(row.row.image, folder / "images" / f"{number}.png")
    seen = images.seen(check_rows(read_manifest(copy)))
    trained, val = (sum(row.row.split == split for row in checked) for split in (Split.TRAIN, Split.VAL))
    assert (seen.images, seen.trained_on, seen.chosen_on) == (len(checked), trained, val)
    assert f"{trained} of these {len(checked)} images were trained on and {val} of these" in seen.words()
    assert str(folder) in seen.words()


@pytest.mark.parametrize("suffix", [".bmp", ".tif"])
def test_an_image_that_was_saved_again_without_loss_is_known(checked, tmp_path, suffix):
    images = TrainingImages.of(checked)
    copy = write_dataset(tmp_path / "elsewhere", ("test",) * len(checked))
    for number, row in enumerate(checked):
        Image.open(row.row.image).save(copy.parent / "images" / f"{number}{suffix}")
    copy.write_text(re.sub(r"(images/\d+)\.png", rf"\1{suffix}", copy.read_text()))
    seen = images.seen(check_rows(read_manifest(copy)))
    trained, val = (sum(row.row.split == split for row in checked) for split in (Split.TRAIN, Split.VAL))
    assert (seen.trained_on, seen.chosen_on, seen.by_init) == (trained, val, 0)
    start = TrainingImages(train=frozenset("a"), val=frozenset("b"), init_train=images.train)
    assert start.seen(check_rows(read_manifest(copy))).by_init == trained


def test_an_image_that_was_saved_again_was_trained_on_unless_training_itself_had_it_as_a_val_row(checked, tmp_path):
    """A CSV may have the pixels of a train image in a val row, with a warning; its run must stay usable with it."""
    images = TrainingImages.of(checked)
    copy = write_dataset(tmp_path / "elsewhere", ("val",) * len(checked))
    for number, row in enumerate(checked):
        Image.open(row.row.image).save(copy.parent / f"images/{number}.bmp")
    copy.write_text(re.sub(r"(images/\d+)\.png", r"\1.bmp", copy.read_text()))
    again = check_rows(read_manifest(copy))
    trained = sum(row.row.split == Split.TRAIN for row in checked)
    assert len(images.trained_on(again)) == trained
    assert TrainingImages.of([*checked, *again]).trained_on(again) == []
    by_file = TrainingImages(train=images.train & {row.image_sha256 for row in checked}, val=frozenset())
    assert by_file.trained_on(again) == []  # as earlier versions recorded it
    assert len(by_file.trained_on(checked)) == trained


def test_rows_of_its_own_splits_are_new_or_meant_to_be_chosen_on(checked):
    images = TrainingImages.of(checked)
    for split, trained in ((Split.TEST, 0), (Split.VAL, 0), (Split.TRAIN, 1)):
        rows = [row for row in checked if row.row.split == split]
        seen = images.seen(rows)
        assert (seen.trained_on, seen.chosen_on) == (len(rows) * trained, 0)
        assert (seen.words() is None) == (not trained)


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "cannot be read: "), ("\x00", "cannot be read: "),
     ("{}", "not as promise train writes it: train: is needed, but missing; "),
     ('{"train": [], "val": 3}', r"not as promise train writes it: val: expected a list\. Restore it")],
)  # fmt: skip
def test_a_damaged_file_is_refused(content, reason, tmp_path):
    (tmp_path / TRAINING_IMAGES_FILE).write_text(content)
    with pytest.raises(CheckpointError, match=rf"training_images\.json: {reason}"):
        read_training_images(tmp_path)
