import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.kinds import kind_of, stem_of, suffix_of
from promise_seg.images.formats.nifti import NiftiVolume
from promise_seg.images.formats.nrrd import NrrdVolume
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.formats.series import DicomSeries
from promise_seg.images.formats.tiff import TiffStack
from tests.files import write_dicom, write_nifti, write_nrrd


@pytest.fixture
def files(tmp_path):
    pixels = np.zeros((4, 5), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "a.gif")
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    tifffile.imwrite(tmp_path / "big.tif", pixels, bigtiff=True)
    write_nifti(tmp_path / "a.nii", np.zeros((3, 4, 5), np.int16))
    write_nrrd(tmp_path / "a.nrrd", np.zeros((3, 4, 5), np.int16))
    write_nrrd(tmp_path / "a.nhdr", np.zeros((3, 4, 5), np.int16))
    write_nifti(tmp_path / "a.nii.gz", np.zeros((3, 4, 5), np.int16))
    write_dicom(tmp_path / "a.dcm", pixels)
    return tmp_path


KINDS = {
    "a.png": Picture, "a.gif": Picture, "a.tif": TiffStack, "big.tif": TiffStack,
    "a.nii": NiftiVolume, "a.nii.gz": NiftiVolume, "a.nrrd": NrrdVolume, "a.nhdr": NrrdVolume, "a.dcm": DicomImage,
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_content_tells_the_kind_whatever_the_name(files, name):
    assert kind_of(files / name) is KINDS[name]
    shutil.copy(files / name, files / "renamed.png")
    assert kind_of(files / "renamed.png") is KINDS[name]


def test_folders_are_series_and_what_is_missing_is_said(files):
    assert kind_of(files) is DicomSeries
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        kind_of(files / "none.png")


@pytest.mark.parametrize(
    ("name", "message"),
    [("a" * 300, "cannot be opened: File name too long"), ("a\0b.png", r"a.x00b\.png': not a valid file name"),
     ("a.png/b.png", "cannot be opened: Not a directory")],
)  # fmt: skip
def test_names_that_no_file_can_have(files, name, message):
    with pytest.raises(ImageError, match=message):
        kind_of(files / name)


@pytest.fixture
def forbidden(monkeypatch):
    """Take away the right to look into some folder, as modes mean nothing to root."""

    def forbid(folder):
        stat, access = Path.stat, os.access

        def refuse(path, **options):
            if folder in path.parents:
                raise PermissionError(13, "Permission denied", str(path))
            return stat(path, **options)

        monkeypatch.setattr(Path, "stat", refuse)
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and access(path, mode))

    return forbid


def test_folders_that_may_not_be_looked_into(files, forbidden):
    (files / "locked").mkdir()
    shutil.copy(files / "a.png", files / "locked/a.png")
    forbidden(files / "locked")
    with pytest.raises(ImageError, match=r"locked/a\.png: cannot be opened: Permission denied"):
        kind_of(files / "locked/a.png")
    with pytest.raises(ImageError, match=r"locked: cannot be listed\. Check its permissions"):
        kind_of(files / "locked")
    assert kind_of(files / "a.png") is Picture


@pytest.mark.parametrize(
    ("name", "suffix", "stem"),
    [
        ("x.nii.gz", ".nii.gz", "x"),
        ("x.y.PNG", ".png", "x.y"),
        ("21_manual1.gif", ".gif", "21_manual1"),
        ("1.2.840.99", "", "1.2.840.99"),
        ("ct", "", "ct"),
    ],
)
def test_suffixes_and_stems(tmp_path, name, suffix, stem):
    assert suffix_of(tmp_path / name) == suffix
    assert stem_of(tmp_path / name) == stem


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "nii", "nii.gz", "nrrd", "mha", "npy", "npz", "dcm", "mp4"])
def test_an_empty_file_is_called_empty(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.touch()
    with pytest.raises(ImageError, match=r"the file is empty \(0 bytes\)\. Copy it again"):
        open_source(path)
