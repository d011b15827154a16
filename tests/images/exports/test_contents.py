import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.exports.contents import UNREAD_SUFFIXES, look_through
from tests.files import write_dicom, write_nifti, write_series


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"something")


@pytest.fixture
def shut(monkeypatch):
    """Close folders to us, as the system does to those who are not root."""

    def close(*folders):
        def guarded(method):
            def call(self, *args, **kwargs):
                inside = self if method.__name__ == "iterdir" else self.parent
                if inside in folders:
                    raise PermissionError(13, "Permission denied", str(self))
                return method(self, *args, **kwargs)

            return call

        monkeypatch.setattr(Path, "iterdir", guarded(Path.iterdir))
        monkeypatch.setattr(Path, "stat", guarded(Path.stat))

    return close


def test_a_folder_that_cannot_be_listed_is_left_out_with_a_note(tmp_path, shut):
    write_series(tmp_path / "open", count=3)
    touch(tmp_path / "a.png", tmp_path / "closed/b.png")
    shut(tmp_path / "closed")
    found = look_through(tmp_path)
    assert [path.name for path in found.pictures] == ["a.png"]
    assert [len(images) for images in found.series.values()] == [3]
    (note,) = found.notes()
    assert note == f"{tmp_path}/closed: cannot be listed: Permission denied. Check its permissions. Left out"
    with pytest.raises(ImageError, match="closed: cannot be listed: Permission denied"):
        look_through(tmp_path / "closed")


def test_files_that_may_not_be_looked_at_and_links_to_nowhere_are_one_note_for_each_folder(tmp_path, monkeypatch):
    touch(tmp_path / "a.png")
    for name in "bcd":
        (tmp_path / f"{name}.png").symlink_to(tmp_path / "gone")
    found = look_through(tmp_path)
    assert [path.name for path in found.pictures] == ["a.png"]
    (note,) = found.notes()
    assert note == f"{tmp_path}/b.png: left out: No such file or directory (and 2 more for this reason)"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_the_system_closes_is_left_out(tmp_path):
    touch(tmp_path / "a.png", tmp_path / "none/b.png", tmp_path / "names_only/c.png")
    (tmp_path / "none").chmod(0)
    (tmp_path / "names_only").chmod(0o444)
    try:
        notes = list(look_through(tmp_path).notes())
    finally:
        (tmp_path / "none").chmod(0o700)
        (tmp_path / "names_only").chmod(0o700)
    assert len(notes) == 2


def test_pictures_in_folders_below_are_left_out_with_a_note(tmp_path):
    touch(tmp_path / "a.png", tmp_path / "in/b.JPG", tmp_path / "in/deep/c.nii.gz", tmp_path / "in/notes.txt")
    found = look_through(tmp_path)
    assert [path.name for path in found.pictures] == ["a.png"]
    below, others = found.notes()
    assert below == (
        f"{tmp_path}: left out 2 images (the first: {tmp_path}/in/b.JPG) in subfolders, where only DICOM is "
        "searched for. Pass these folders too"
    )
    assert others == f"{tmp_path}: left out 1 file(s) that are no images: .txt 1 (the first: {tmp_path}/in/notes.txt)"


def test_images_whose_names_do_not_say_so_are_found_by_their_content(tmp_path):
    for name in ("scan", "photo.jfif", "frame.0001"):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / name, format="PNG")
    write_nifti(tmp_path / "volume.nii", np.zeros((3, 4, 5), np.int16)).rename(tmp_path / "volume")
    found = look_through(tmp_path)
    assert {path.name for path in found.pictures} == {"scan", "photo.jfif", "frame.0001", "volume"}
    assert list(found.notes()) == []


def test_dicom_without_pixels_to_predict_is_counted(tmp_path):
    write_dicom(tmp_path / "a.dcm", np.zeros((4, 5), np.uint16))
    write_dicom(tmp_path / "seg.dcm", np.zeros((4, 5), np.uint8), sop_class="1.2.840.10008.5.1.4.1.1.66.4")
    (note,) = look_through(tmp_path).notes()
    assert note.startswith(f"{tmp_path}: left out 1 DICOM segmentation(s) or object(s) without pixels (the first: ")


def test_images_of_kinds_that_are_not_read_are_named(tmp_path):
    touch(tmp_path / "a.mgz", tmp_path / "notes.txt", tmp_path / "table.csv")
    note, others = look_through(tmp_path).notes()
    assert "left out 2 file(s) that are no images: .txt 1, .csv 1" in others
    assert note.startswith(
        f"{tmp_path}: left out 1 image ({tmp_path}/a.mgz), of formats that are not searched for in folders"
    )
    assert not UNREAD_SUFFIXES & {".png", ".webp", ".tif"}


def test_an_image_with_a_damaged_place_is_left_out_of_its_series_with_a_note(tmp_path):
    write_series(tmp_path, count=3)
    write_dicom(tmp_path / "odd", np.zeros((4, 5), np.int16), ImagePositionPatient=[1, 2])
    found = look_through(tmp_path)
    assert found.single == [tmp_path / "odd"]
    (note,) = found.notes()
    assert note.startswith(f"{tmp_path}/odd: its ImagePositionPatient (1.0\\2.0) is not 3 numbers, and is left out")
    assert note.endswith("Left out of its series")


def test_an_image_without_a_place_in_a_series_with_places_is_named(tmp_path):
    write_series(tmp_path, count=3)
    header = pydicom.dcmread(tmp_path / "slice001")
    same = {name: header[name].value for name in ("SeriesInstanceUID", "StudyInstanceUID")}
    write_dicom(tmp_path / "odd", np.zeros((12, 10), np.int16), placed=False, **same)
    write_dicom(tmp_path / "other", np.zeros((12, 10), np.int16), placed=False)  # of another series: nothing is amiss
    (note,) = look_through(tmp_path).notes()
    assert (
        note == f"1 image ({tmp_path}/odd) left out of a series, whose other images say where they lie: predicted "
        "by itself"
    )
