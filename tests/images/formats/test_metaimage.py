"""MetaImage files as ITK writes them, read and written so that ITK agrees on every voxel's place."""

import gzip
import zlib

import numpy as np
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.formats.notes import NO_PLACE
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.vocabulary import Axis
from tests.files import write_metaimage, write_nifti

VOLUME = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
TURNED = ((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0), (0.0, 0.0, 1.0))


def itk():
    return pytest.importorskip("SimpleITK", reason="SimpleITK, the independent reader, is not installed")


def oblique(path, **fields):
    place = {"matrix": TURNED, "spacing": (0.7, 1.3, 3.1), "origin": (-12.5, 40.25, -7.75)}
    return write_metaimage(path, VOLUME, **place | fields)


def refused(path):
    with pytest.raises(ImageError) as caught:
        open_source(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_voxels_lie_where_itk_says(tmp_path):
    image = itk().ReadImage(str(oblique(tmp_path / "a.mha")))
    source = open_source(tmp_path / "a.mha")
    for index in ((0, 0, 0), (5, 0, 0), (0, 4, 0), (0, 0, 3), (5, 4, 3)):
        left, back, up = image.TransformIndexToPhysicalPoint(index)
        assert source.array[index] == image.GetPixel(*index)
        assert (source.frame.affine @ [*index, 1])[:3] == pytest.approx((-left, -back, up))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
@pytest.mark.parametrize("kind", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"])
def test_what_itk_writes_is_read(tmp_path, kind, suffix, compressed):
    sitk = itk()
    values = (VOLUME - 20 if kind[0] != "u" else VOLUME).astype(kind)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / f"a{suffix}"), compressed)
    source = open_source(tmp_path / f"a{suffix}")
    assert np.array_equal(source.array, values.T)
    assert source.frame is not None


def test_colours_and_single_images(tmp_path):
    sitk = itk()
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    image = sitk.GetImageFromArray(colours, isVector=True)
    image.SetSpacing((0.5, 0.8))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    source = open_source(tmp_path / "a.mha")
    assert (source.is_volume, len(source), source.spacing) == (False, 1, (0.8, 0.5))
    assert np.array_equal(source.values(0), colours)


def test_the_same_volume_as_nifti_is_cut_into_the_same_slices_and_can_be_its_mask(tmp_path):
    source = open_source(oblique(tmp_path / "a.mha"))
    nifti = write_nifti(tmp_path / "a.nii.gz", VOLUME.T, source.frame.affine)
    for axis in Axis:
        one, two = open_source(tmp_path / "a.mha", axis), open_source(nifti, axis)
        for index in range(len(one)):
            assert np.array_equal(one.values(index), two.values(index))
            assert np.array_equal(read_labels(nifti, one, index), one.values(index))
            assert np.array_equal(read_labels(tmp_path / "a.mha", two, index), one.values(index))


def test_a_volume_without_a_place_is_taken_as_stored(tmp_path):
    source = open_source(write_metaimage(tmp_path / "a.mha", VOLUME, matrix=None, spacing=(0.5, 0.8, 2)))
    assert (source.frame, source.spacing, len(source)) == (None, (0.8, 0.5), 4)
    assert np.array_equal(source.values(1), VOLUME[1])
    with pytest.raises(ImageError, match="has no patient orientation"):
        open_source(tmp_path / "a.mha", Axis.CORONAL)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_packed_values(tmp_path, pack):
    path = write_metaimage(tmp_path / "a.mhd", VOLUME, data="a.zraw", CompressedData="True")
    (tmp_path / "a.zraw").write_bytes(pack(VOLUME.tobytes()))
    assert np.array_equal(open_source(path).array, VOLUME.T)


@pytest.mark.parametrize("field", ["ElementByteOrderMSB", "BinaryDataByteOrderMSB"])
def test_big_endian_and_text_and_skipped_headers(tmp_path, field):
    path = write_metaimage(tmp_path / "a.mhd", VOLUME, data="a.raw", **{field: "True"})
    (tmp_path / "a.raw").write_bytes(VOLUME.astype(">i2").tobytes())
    assert np.array_equal(open_source(path).array, VOLUME.T)
    path = write_metaimage(tmp_path / "b.mhd", VOLUME, data="b.txt", BinaryData="False")
    (tmp_path / "b.txt").write_text(" ".join(map(str, VOLUME.ravel())))
    assert np.array_equal(open_source(path).array, VOLUME.T)
    for size, content in ((7, b"7 bytes" + VOLUME.tobytes()), (-1, b"any number" + VOLUME.tobytes())):
        path = write_metaimage(tmp_path / "c.mhd", VOLUME, data="c.raw", HeaderSize=size)
        (tmp_path / "c.raw").write_bytes(content)
        assert np.array_equal(open_source(path).array, VOLUME.T)


@pytest.mark.parametrize("name", ["/etc/hostname", "../a.raw", "C:\\a.raw", "a/../../b"])
def test_a_header_may_not_lead_elsewhere(tmp_path, name):
    path = write_metaimage(tmp_path / "a.mhd", VOLUME)
    path.write_bytes(path.read_bytes().split(b"LOCAL")[0] + name.encode() + b"\n")
    assert "expected a file in its own folder" in refused(path)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ElementType": "MET_STRING"}, "values of the type 'MET_STRING'; expected whole or floating-point numbers"),
        ({"ElementType": "MET_OTHER"}, "values of the type 'MET_OTHER'"),
        ({"DimSize": "6 5"}, "dimsize is '6 5' in its header; expected 3 numbers"),
        ({"DimSize": "6 5 4.5"}, "expected whole numbers"),
        ({"DimSize": "6 5 0"}, "its header says 6 x 5 x 0 as its size"),
        ({"DimSize": "99999 99999 99999"}, "too large"),
        ({"DimSize": "6 5 40"}, "damaged or truncated: 120 values; its header says 1,200"),
        ({"NDims": "three"}, "ndims is 'three' in its header; expected a number from 1 to 10"),
        ({"Offset": "1 2"}, "offset is '1 2' in its header; expected 3 numbers"),
        ({"CompressedData": "True"}, "damaged, or not a MetaImage that can be read"),
        ({"HeaderSize": "x"}, "headersize is 'x' in its header"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, fields, words):
    assert words in refused(write_metaimage(tmp_path / "a.mha", VOLUME, **fields))


def test_values_of_several_channels_are_channels(tmp_path):
    stack = np.stack([VOLUME + number for number in range(5)], -1)  # the channels of a voxel follow each other
    fields = {"ElementNumberOfChannels": 5, "NDims": 3, "DimSize": "6 5 4"}
    path = write_metaimage(tmp_path / "a.mha", stack, **fields)
    path.write_bytes(path.read_bytes().replace(b"ElementSpacing = 1 1 1\n", b""))
    source, plain = open_source(path), open_source(write_metaimage(tmp_path / "b.mha", VOLUME))
    assert source.channels == ("",) * 5
    with pytest.raises(ImageError, match=r"a\.mha: has 5 channels \(0, 1, 2, 3, 4\); say in training which"):
        source.values(0)
    assert np.array_equal(source.channel_values(1, 3), plain.values(1) + 3)


def test_several_files_and_missing_ones_are_named(tmp_path):
    for data, words in (("slice%03d.raw 1 4 1", "several files"), ("LIST", "several files"), ("b.raw", "not there")):
        path = write_metaimage(tmp_path / "a.mhd", VOLUME)
        path.write_bytes(path.read_bytes().split(b"LOCAL")[0] + data.encode() + b"\n")
        assert words in refused(path)


def test_a_fourth_dimension_is_dropped_where_it_is_one_and_channels_otherwise(tmp_path):
    fields = {
        "NDims": 4,
        "ElementSpacing": "1 1 1 1",
        "Offset": "0 0 0 0",
        "TransformMatrix": "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
    }
    path = write_metaimage(tmp_path / "a.mha", VOLUME, **fields | {"DimSize": "6 5 4 1"})
    assert np.array_equal(open_source(path).array, VOLUME.T)
    path = write_metaimage(tmp_path / "b.mha", VOLUME, **fields | {"DimSize": "6 5 2 2"})
    assert np.array_equal(open_source(path).channel_values(1, 1), VOLUME[3])
    fields |= {"NDims": 5, "ElementSpacing": "1 1 1 1 1", "Offset": "0 0 0 0 0"}
    fields["TransformMatrix"] = " ".join("1" if row == column else "0" for row in range(5) for column in range(5))
    path = write_metaimage(tmp_path / "c.mha", VOLUME, **fields | {"DimSize": "6 5 1 2 2"})
    assert "has 5 dimensions (6 x 5 x 1 x 2 x 2); expected 2 or 3, and one more for channels" in refused(path)


@pytest.mark.parametrize(
    ("fields", "spacing"),
    [
        ({"TransformMatrix": "1 0 0 0 1 0 0 0 nan"}, (0.8, 0.5)),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, (0.8, 0.5)),
        ({"Offset": "1 inf 3"}, (0.8, 0.5)),
        ({"ElementSpacing": "0.5 nan 2"}, None),
        ({"ElementSpacing": "0 0.8 2"}, None),
    ],
)
def test_geometry_that_is_not_finite_is_no_geometry(tmp_path, fields, spacing):
    sound = {"TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "1 2 3", "ElementSpacing": "0.5 0.8 2"}
    plain = open_source(write_metaimage(tmp_path / "plain.mha", VOLUME))
    path = write_metaimage(tmp_path / "a.mha", VOLUME, **sound | fields)
    source = open_source(path)
    assert np.array_equal(source.array, plain.array.T)  # by slices, rows and columns
    assert (source.frame, source.spacing) == (None, spacing)
    assert source.notes == (f"{path}: its directions, its spacing or its origin are {NO_PLACE}",)


def test_a_spacing_that_is_none_is_unknown_with_a_note(tmp_path):
    path = write_metaimage(tmp_path / "a.mha", VOLUME, matrix=None, ElementSpacing="nan 1 1")
    source = open_source(path)
    assert source.spacing is None
    assert source.notes == (f"{path}: its ElementSpacing is not a valid size, so its spacing is unknown",)
