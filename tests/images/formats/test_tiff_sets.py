"""OME-TIFFs of several files, or several images: each file is read with the planes of its own images."""

import json
import shutil
import struct
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


def write_position(folder, number, values, count=2):
    """Write one file of a set as a microscope with a stage does: the metadata describe the images of all positions."""
    images = "".join(
        f'<Image ID="Image:{at}" Name="Pos{at}"><Pixels ID="Pixels:{at}" DimensionOrder="XYZCT" Type="uint8" '
        f'SizeX="64" SizeY="48" SizeZ="{len(values)}" SizeC="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5" '
        f'PhysicalSizeZ="2"><Channel ID="Channel:{at}:0" SamplesPerPixel="1"/>'
        + "".join(
            f'<TiffData FirstZ="{z}" IFD="{z}" PlaneCount="1"><UUID FileName="p{at}.ome.tif">{IDENTIFIERS[at]}</UUID>'
            "</TiffData>"
            for z in range(len(values))
        )
        + "</Pixels></Image>"
        for at in range(count)
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="{IDENTIFIERS[number]}">{images}</OME>'
    )
    path, pages = folder / f"p{number}.ome.tif", np.stack([np.full((48, 64), value, np.uint8) for value in values])
    tifffile.imwrite(path, pages, description=text.encode(), metadata=None, photometric="minisblack")
    return path


@pytest.fixture
def positions(tmp_path):
    return [write_position(tmp_path, number, [50 + 100 * number, 60 + 100 * number]) for number in range(2)]


@pytest.mark.parametrize("number", range(2))
def test_a_file_for_each_position_holds_its_own_planes_alone(positions, number):
    source = open_source(positions[number])
    assert [int(source.values(index).mean()) for index in range(len(source))] == [50 + 100 * number, 60 + 100 * number]
    assert TiffStack.files_of(positions[number]) == [positions[number]]
    assert (source.slice_spacing, source.notes) == (0.002, ())
    positions[1 - number].unlink()  # another image, which this one does not need
    assert open_source(positions[number]).values(1).mean() == 60 + 100 * number


def test_a_renamed_file_of_several_images_without_its_own_identifier_is_refused(positions):
    """Its metadata do not tell which of the images it holds."""
    path = positions[0].with_name("a.ome.tif")
    text = positions[0].read_bytes()
    path.write_bytes(text.replace(f' UUID="{IDENTIFIERS[0]}">'.encode(), b" " * (len(IDENTIFIERS[0]) + 8) + b">"))
    with pytest.raises(ImageError, match=r"describe 2 images in other files; .* If it was renamed, give it its old"):
        open_source(path)
    assert [one.path for one in find_inputs([path.parent])] == [path, *positions]


def test_a_folder_holds_every_position(positions):
    notes = []
    found = find_inputs([positions[0].parent], notes.append)
    assert [one.path for one in found] == positions
    assert not notes


@pytest.mark.parametrize("number", range(2))
def test_a_large_image_of_one_position_is_read_in_windows(tmp_path, number):
    paths = [write_position(tmp_path, at, [50 + 100 * at]) for at in range(2)]
    slide = TiffSlide(paths[number])
    assert slide.is_readable
    assert slide.values(0).mean() == 50 + 100 * number


def write_images(path, *images, **options):
    with tifffile.TiffWriter(path, ome=True) as file:
        for image in images:
            file.write(image, photometric="minisblack", metadata=options)
    return path


def test_images_of_one_plane_in_one_file_are_a_stack_and_a_note_says_so(tmp_path):
    planes = [np.full((48, 64), value, np.uint8) for value in (1, 2, 3)]
    path = write_images(tmp_path / "a.ome.tif", *planes, axes="YX")
    source = open_source(path)
    assert [int(source.values(index).mean()) for index in range(len(source))] == [1, 2, 3]
    assert source.notes == (
        f"{path}: has 3 images of one plane each, by its metadata; they are read as the slices of one stack",
    )
    assert not TiffSlide(path).is_readable  # it would be read as the first of them


def test_several_stacks_in_one_file_are_refused(tmp_path):
    path = write_images(tmp_path / "a.ome.tif", *np.zeros((2, 3, 48, 64), np.uint8), axes="ZYX")
    with pytest.raises(ImageError, match=r"has 2 images of up to 3 planes each, .*\. Save each image as a file of its"):
        open_source(path)


def test_the_names_of_channels_are_those_of_the_image_in_the_file(tmp_path):
    images = "".join(
        f'<Image ID="Image:{at}"><Pixels ID="Pixels:{at}" DimensionOrder="XYZCT" Type="uint8" SizeX="64" SizeY="48" '
        'SizeZ="1" SizeC="2" SizeT="1">'
        + "".join(f'<Channel ID="Channel:{at}:{c}" Name="{name}" SamplesPerPixel="1"/>' for c, name in enumerate(names))
        + f'<TiffData IFD="0" PlaneCount="2"><UUID FileName="p{at}.ome.tif">{IDENTIFIERS[at]}</UUID></TiffData>'
        "</Pixels></Image>"
        for at, names in enumerate((("DAPI", "GFP"), ("A", "B")))
    )
    for number in range(2):
        schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
        text = f'<OME xmlns="{schema}" UUID="{IDENTIFIERS[number]}">{images}</OME>'
        page = np.zeros((2, 48, 64), np.uint8)
        tifffile.imwrite(
            tmp_path / f"p{number}.ome.tif", page, description=text.encode(), metadata=None, photometric="minisblack"
        )
    assert open_source(tmp_path / "p0.ome.tif").channels == ("DAPI", "GFP")
    assert open_source(tmp_path / "p1.ome.tif").channels == ("A", "B")


def write_micro_manager(path, pages, positions):
    """Write a file of Micro-Manager: its index gives the stage position of each page.

    Args:
        pages: mapping of (slice, position) to a page (H, W) uint8.
        positions: number of positions of the whole set.
    """
    summary = {"MicroManagerVersion": "2", "Frames": 1, "Slices": 2, "Channels": 1, "Positions": positions}
    summary |= {"Prefix": path.name.partition("_MMStack")[0]}
    words = json.dumps(summary).encode()
    head, offsets, body = 40 + len(words), [], b""
    for number, page in enumerate(pages.values()):
        at = head + len(body)
        height, width = page.shape
        following = at + 162 + page.size if number + 1 < len(pages) else 0
        tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, at + 162), (277, 1), (278, height)]
        tags += [(279, page.size)]
        entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags)
        entries += struct.pack("<HHII", 51123, 2, 8, at + 154)  # by which files of Micro-Manager are recognized
        body += (struct.pack("<H", len(tags) + 1) + entries + struct.pack("<I", following)).ljust(
            154, b"\0"
        ) + b"{}      "
        body += page.tobytes()
        offsets.append(at)
    index = struct.pack("<II", 3453623, len(pages)) + b"".join(
        struct.pack("<5I", 0, slice_, 0, place, at) for (slice_, place), at in zip(pages, offsets, strict=True)
    )
    start = struct.pack("<2sHI", b"II", 42, head) + struct.pack("<II", 54773648, head + len(body))
    start += struct.pack("<6I", 0, 0, 0, 0, 2355492, len(words))
    path.write_bytes(start + words + body + index)
    return path


def pages_of_position(position):
    return {(z, position): np.full((48, 64), 50 + 100 * position + 10 * z, np.uint8) for z in range(2)}


@pytest.mark.parametrize("number", range(2))
def test_a_file_of_micro_manager_holds_the_planes_of_its_own_position(number, tmp_path):
    paths = [write_micro_manager(tmp_path / f"a_MMStack_Pos{at}.tif", pages_of_position(at), 2) for at in range(2)]
    source = open_source(paths[number])
    assert [int(source.values(at).mean()) for at in range(len(source))] == [50 + 100 * number, 60 + 100 * number]


def test_several_positions_in_one_file_of_micro_manager_are_refused(tmp_path):
    path = write_micro_manager(tmp_path / "a_MMStack.tif", pages_of_position(0) | pages_of_position(1), 2)
    with pytest.raises(ImageError, match="has 2 images of up to 2 planes each"):
        open_source(path)
