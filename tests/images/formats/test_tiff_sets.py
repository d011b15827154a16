"""OME-TIFFs of several files: all files count, and none of them may be in another folder."""

import shutil
import warnings

import numpy as np
import pytest
import tifffile

from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.tiff import TiffStack
from promise_seg.images.formats.tiff_slide import TiffSlide
from promise_seg.images.readers import content_sha256
from promise_seg.images.reading import Reading

IDENTIFIERS = [f"urn:uuid:00000000-0000-4000-8000-00000000000{number}" for number in range(2)]


def description(number, names):
    pages = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}">{identifier}</UUID></TiffData>'
        for z, (name, identifier) in enumerate(zip(names, IDENTIFIERS, strict=True))
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="{IDENTIFIERS[number]}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
        'SizeX="64" SizeY="48" SizeZ="2" SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        f"{pages}</Pixels></Image></OME>"
    )


def write_part(path, number, value, names=("z0.ome.tif", "z1.ome.tif"), **options):
    """Write one slice of a volume of two slices."""
    text, page = description(number, names).encode(), np.full((48, 64), value, np.uint8)
    tifffile.imwrite(path, page, description=text, metadata=None, photometric="minisblack", **options)
    return path


@pytest.fixture(params=[None, "jpeg"])
def files(request, tmp_path):
    return [write_part(tmp_path / f"z{n}.ome.tif", n, 50 + 100 * n, compression=request.param) for n in range(2)]


def test_all_files_are_those_of_the_volume(files):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = open_source(files[0])
        assert [int(source.values(index).mean()) for index in range(len(source))] == [50, 150]
    assert TiffStack.files_of(files[0]) == files
    assert TiffStack.files_of(files[1]) == files[::-1]
    assert not TiffSlide(files[0]).is_readable


def test_the_metadata_of_an_unchanged_file_are_parsed_once(files, monkeypatch):
    opened, parse = [], tifffile.TiffFile
    monkeypatch.setattr(tifffile, "TiffFile", lambda stored: opened.append(stored) or parse(stored))
    assert [TiffStack.files_of(files[0]) for _ in range(3)] == [files] * 3
    assert len(opened) <= 1


def test_a_change_of_another_file_is_noticed(files):
    before = content_sha256(open_source(files[0]), 1, Reading())
    write_part(files[1], 1, 7)
    after = open_source(files[0])
    assert after.values(1).mean() == 7
    assert content_sha256(after, 1, Reading()) != before


def test_a_folder_holds_the_volume_once(files):
    notes = []
    found = find_inputs([files[0].parent], notes.append)
    assert [one.path for one in found] == files[:1]
    assert any("left out 1 file" in note and "z1.ome.tif" in note for note in notes)
    before = found[0].sha256()
    write_part(files[1], 1, 7)
    assert found[0].sha256() != before


@pytest.mark.parametrize("name", ["../z1.ome.tif", "/tmp/z1.ome.tif", "C:\\z1.ome.tif"])
def test_files_in_other_folders_are_refused(name, tmp_path):
    (tmp_path / "sub").mkdir()
    write_part(tmp_path / "z1.ome.tif", 1, 150)
    path = write_part(tmp_path / "sub/z0.ome.tif", 0, 50, ("z0.ome.tif", name))
    with pytest.raises(ImageError, match=r"z0\.ome\.tif: its values are in .*; expected a file in its own folder"):
        open_source(path)


def test_names_cannot_be_hidden_in_entities(tmp_path):
    text = description(0, ("z0.ome.tif", "&other;")).replace(
        "?><OME", '?><!DOCTYPE OME [<!ENTITY other "../z1.tif">]><OME'
    )
    tifffile.imwrite(tmp_path / "z0.ome.tif", np.zeros((48, 64), np.uint8), description=text.encode(), metadata=None)
    with pytest.raises(ImageError, match="its OME metadata define entities"):
        open_source(tmp_path / "z0.ome.tif")


def test_a_missing_file_is_reported(files):
    files[1].unlink()
    source = open_source(files[0])
    assert source.values(0).mean() == 50
    with pytest.raises(
        ImageError, match=r"z0\.ome\.tif: its OME metadata name a page that is not there\. If the image"
    ):
        source.values(1)


def test_a_renamed_single_file_is_recognized_by_its_identifier(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((3, 20, 30), np.uint8), metadata={"axes": "ZYX"})
    shutil.copy(tmp_path / "a.ome.tif", tmp_path / "b.tif")
    assert TiffStack.files_of(tmp_path / "b.tif") == [tmp_path / "b.tif"]
    path = write_part(tmp_path / "c.tif", 0, 50)
    assert TiffStack.files_of(path) == [path]
