import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.exports.contents import UNREAD_SUFFIXES, look_through
from promise_seg.images.formats.kinds import stem_of
from promise_seg.images.formats.opening import open_source
from tests.files import write_dicom, write_nifti, write_nrrd, write_series


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


def below(folder, paths):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_pictures_and_volumes_are_found_at_any_depth(tmp_path):
    touch(tmp_path / "a.png", tmp_path / "in/b.JPG", tmp_path / "in/deep/er/c.nii.gz", tmp_path / "in/notes.txt")
    found = look_through(tmp_path)
    assert below(tmp_path, found.pictures) == ["a.png", "in/b.JPG", "in/deep/er/c.nii.gz"]
    (others,) = found.notes()
    assert others == f"{tmp_path}: left out 1 file(s) that are not images: .txt 1 (the first: {tmp_path}/in/notes.txt)"


def test_links_end_and_lead_to_a_file_once_under_its_own_folder(tmp_path):
    touch(tmp_path / "p2/a.png", tmp_path / "elsewhere/b.png")
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "p2").rename(data / "p2")
    (data / "a_link").symlink_to(data / "p2")
    (data / "p2/up").symlink_to(data)
    (data / "p2/self").symlink_to(data / "p2")
    (data / "outside").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(data)
    assert below(data, look_through(data).pictures) == ["p2/a.png", "outside/b.png"]


def test_folders_of_masks_beside_images_are_left_out_and_said(tmp_path):
    touch(*(tmp_path / name for name in ("p1/images/a.png", "p1/Ground-Truth/a.png", "labelsTr/x/b.nii.gz", "c.png")))
    found = look_through(tmp_path)
    assert below(tmp_path, found.pictures) == ["c.png", "p1/images/a.png"]
    assert list(found.notes()) == [
        f"{tmp_path}: left out 2 images (the first: {tmp_path}/labelsTr/x/b.nii.gz) in folders of masks. If they are "
        "images, pass their folders themselves"
    ]
    touch(tmp_path / "slides/label/1.png")  # alone, they may be images: photographs of the labels of slides
    assert below(tmp_path / "slides", look_through(tmp_path / "slides").pictures) == ["label/1.png"]
    assert below(tmp_path / "labelsTr", look_through(tmp_path / "labelsTr").pictures) == ["x/b.nii.gz"]


def test_hidden_folders_and_those_of_systems_are_left_out_and_said(tmp_path):
    touch(*(tmp_path / name for name in ("a.png", ".git/x.png", "in/__MACOSX/b.png", "in/._b.png", ".DS_Store")))
    found = look_through(tmp_path)
    assert below(tmp_path, found.pictures) == ["a.png"]
    assert list(found.notes()) == [
        f"{tmp_path}: left out 2 hidden files and folders (the first: {tmp_path}/.git). Pass one by itself, or rename "
        "it, to read the images in it"
    ]


def test_files_of_values_that_were_read_with_their_header_are_not_named(tmp_path):
    write_nrrd(tmp_path / "in/ct.nhdr", np.zeros((4, 5, 3), np.uint8))
    touch(tmp_path / "in/other.raw")
    found = look_through(tmp_path)
    assert below(tmp_path, found.pictures) == ["in/ct.nhdr"]
    assert below(tmp_path, found.no_images) == ["in/other.raw"]


def test_images_whose_names_do_not_say_so_are_found_by_their_content(tmp_path):
    for name in ("scan", "photo.jfif", "frame.0001"):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / name, format="PNG")
    write_nifti(tmp_path / "volume.nii", np.zeros((3, 4, 5), np.int16)).rename(tmp_path / "volume")
    found = look_through(tmp_path)
    assert {path.name for path in found.pictures} == {"scan", "photo.jfif", "frame.0001", "volume"}
    assert list(found.notes()) == []


@pytest.mark.parametrize("name", ["a.pgm", "a.PPM", "a.pbm", "a.tga", "a.pcx", "a.jp2", "a.j2k", "a.jfif", "a.dib"])
def test_every_kind_of_picture_that_is_read_is_found(tmp_path, name):
    mode = {"a.PPM": "RGB", "a.pbm": "1"}.get(name, "L")
    Image.new(mode, (6, 5)).save(tmp_path / name)
    found = look_through(tmp_path)
    assert [path.name for path in found.pictures] == [name]
    assert open_source(tmp_path / name).values(0).shape[:2] == (5, 6)
    assert stem_of(tmp_path / name) == "a"


def test_dicom_without_pixels_to_predict_is_counted(tmp_path):
    write_dicom(tmp_path / "a.dcm", np.zeros((4, 5), np.uint16))
    write_dicom(tmp_path / "seg.dcm", np.zeros((4, 5), np.uint8), sop_class="1.2.840.10008.5.1.4.1.1.66.4")
    (note,) = look_through(tmp_path).notes()
    assert note.startswith(f"{tmp_path}: left out 1 DICOM segmentation(s) or object(s) without pixels (the first: ")


def test_images_of_kinds_that_are_not_read_are_named(tmp_path):
    touch(*(tmp_path / name for name in ("a.mgz", "notes.txt", "table.csv", "clip.wmv", "scan.img")))
    write_dicom(tmp_path / "ct.img", np.zeros((4, 5), np.uint16), placed=False)  # whatever it is called
    found = look_through(tmp_path)
    assert found.single == [tmp_path / "ct.img"]
    note, others = found.notes()
    assert "left out 2 file(s) that are not images: .txt 1, .csv 1" in others
    assert note.startswith(
        f"{tmp_path}: left out 3 images (the first: {tmp_path}/a.mgz), of formats that are not searched for in "
        "folders: .mgz 1, .wmv 1, .img 1. Save as PNG, TIFF, NIfTI or MP4"
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
        note == f"1 image ({tmp_path}/odd) left out of a series because it has no position, "
        "unlike the other images; predicted separately"
    )
