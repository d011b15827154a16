"""The rows of a run of an earlier version, which did not read patients from DICOM files, are found again."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.manifest import read_manifest, split_off_validation
from promise_seg.images.reading import DEFAULT_READING
from promise_seg.learning.training_images import TrainingImages, read_training_images, write_training_images
from promise_seg.workflows.begun_run import images_of_run
from promise_seg.workflows.training import _with_validation
from promise_seg.workflows.training_rows import data_as_trained, split_as_recorded
from tests.files import write_series


@pytest.fixture
def patients(tmp_path):
    """Three patients with four slices each, in separate files without a group."""
    lines = ["image_name,train_type,mask_name"]
    Image.fromarray(np.eye(12, 10, dtype=np.uint8) * 255).save(tmp_path / "mask.png")
    for patient in range(3):
        values = np.random.default_rng(patient).integers(0, 400, (4, 12, 10)).astype(np.int16)
        folder = write_series(tmp_path / f"p{patient}", values, PatientID=f"P{patient}")
        lines += [f"{folder.name}/{path.name},train,mask.png" for path in sorted(folder.iterdir())]
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "m.csv"


def splits(rows):
    return [str(row.row.split) for row in rows]


class Part:
    """The place of a model, with the record of its images."""

    def __init__(self, images):
        self.images = images

    def note(self):
        return None

    def training_images(self):
        return self.images


def before(patients):
    """The rows of a run of an earlier version: single slices were taken as val rows."""
    return check_rows(split_off_validation(read_manifest(patients), share=0.2, seed=1))


def test_the_split_is_that_of_the_record(patients):
    now = Dataset.from_csv(patients, val_share=0.2, seed=1)
    assert splits(now) != splits(before(patients))
    assert split_as_recorded(now, TrainingImages.of(now.rows), 1) is now
    assert splits(split_as_recorded(now, TrainingImages.of(before(patients)), 1)) == splits(before(patients))
    other = TrainingImages(train=frozenset("a"), val=frozenset("b"))
    assert split_as_recorded(now, other, 1) is now  # for the messages of the checks


def test_a_resumed_run_keeps_its_val_rows(patients, tmp_path):
    notes = []
    write_training_images(tmp_path, before(patients))
    data = Dataset.from_csv(patients, val_share=0.2, seed=1)
    assert splits(_with_validation(data, 0.2, 1, tmp_path, notes.append)) == splits(before(patients))
    assert "took 3 of the train rows" in notes[0]
    assert splits(_with_validation(data, 0.2, 1, tmp_path / "new", notes.append)) == splits(data)


def test_the_record_is_also_found_in_the_folder_of_the_first_class(patients, tmp_path):
    assert images_of_run(tmp_path) is None
    write_training_images(tmp_path / "class-1", before(patients))
    assert images_of_run(tmp_path) == read_training_images(tmp_path / "class-1")


@pytest.mark.parametrize("split", [("train", "val"), "val"])
def test_calibration_takes_the_val_rows_of_training(patients, split):
    notes, model = [], SimpleNamespace(config=SimpleNamespace(reading=DEFAULT_READING))
    rows = before(patients)
    found = data_as_trained(
        patients, Part(TrainingImages.of(rows)), model, val_share=0.2, seed=1, split=split, note=notes.append
    )
    assert [row.name for row in found.val] == [row.name for row in rows if row.row.split == "val"]
    assert {str(row.row.split) for row in found} == ({"val"} if split == "val" else set(split))
    assert len({row.row.group for row in found.val}) > 1
    assert "their DICOM files name" in notes[-1]
    data = Dataset.from_csv(patients)
    again = data_as_trained(data, Part(TrainingImages.of(rows)), model, val_share=0.2, seed=1)
    assert splits(again) == splits(rows)
    new = data_as_trained(data, Part(None), model, val_share=0.2, seed=1)
    assert not {row.row.group for row in new.train} & {row.row.group for row in new.val}
