"""The meaning of headers that are mended when they are read."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_files import read_mended
from promise_seg.images.formats.kinds import kind_of, told_by_content
from promise_seg.images.formats.notes import in_words
from promise_seg.images.formats.opening import open_source
from tests.files import make_dicom, write_dicom
from tests.images.formats import blemishes

GREY = np.arange(-20, 28, dtype=np.int16).reshape(6, 8)
COLOUR = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def opened(path, **values):
    """Return a file of raw elements, with some replaced by text or, if it is ``None``, left out."""
    elements = blemishes.sound()
    for name, value in values.items():
        kind = elements.pop(name, ("LO", b""))[0]
        if value is not None:
            elements[name] = (kind, value)
    return open_source(blemishes.write(path, elements))


@pytest.mark.parametrize("name", ["old", "old.dcm", "image.ima"])
@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_and_meta_is_read(tmp_path, name, implicit):
    dataset = make_dicom(GREY)
    del dataset.file_meta
    dataset.save_as(tmp_path / name, implicit_vr=implicit, little_endian=True)
    assert kind_of(tmp_path / name) is told_by_content(tmp_path / name) is DicomImage
    source = open_source(tmp_path / name)
    assert np.array_equal(source.values(0), GREY)
    syntax = (ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian).name
    assert source.notes == (f"{tmp_path / name}: it does not state its transfer syntax, and is read as {syntax}",)


def test_a_big_endian_file_without_a_transfer_syntax_is_read(tmp_path):
    dataset = make_dicom(GREY)
    dataset.PixelData = GREY.astype(">i2").tobytes()
    del dataset.file_meta
    dataset.save_as(tmp_path / "a.dcm", implicit_vr=False, little_endian=False)
    source = open_source(tmp_path / "a.dcm")
    assert np.array_equal(source.values(0), GREY)
    assert ExplicitVRBigEndian.name in source.notes[0]


@pytest.mark.parametrize("head", [b"\x08\0not a file", b"\x89PNG", b"\x02\0", b"GIF89a" + bytes(200)])
def test_other_files_do_not_resemble_dicom(head):
    assert not DicomImage.resembles(head)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"PixelSpacing": b"0,75\\0,5"}, (0.75, 0.5)),
        ({"PixelSpacing": b"0.75"}, (0.75, 0.75)),
        ({"PixelSpacing": b"0.75\\0.5\\9"}, (0.75, 0.5)),
        ({"PixelSpacing": b"x\\0.75"}, None),
        ({"PixelSpacing": b"7_5\\0.5"}, None),
        ({"PixelSpacing": b"inf\\0.5"}, None),
    ],
)
def test_spacing_is_read_where_it_can_be_told(tmp_path, values, expected):
    source = opened(tmp_path / "a.dcm", **values)
    assert source.spacing == expected
    assert "PixelSpacing" in source.notes[0]
    assert (source.frame is None) == (expected is None)


@pytest.mark.parametrize("direction", [b"2\\0\\0\\0\\3\\0", b"0.5\\0\\0\\0\\0.5\\0"])
def test_directions_get_unit_length(tmp_path, direction):
    sound = opened(tmp_path / "sound.dcm")
    source = opened(tmp_path / "a.dcm", ImageOrientationPatient=direction)
    assert np.allclose(source.frame.affine, sound.frame.affine)
    assert "is read as 1\\0\\0\\0\\1\\0" in source.notes[0]


def test_cosines_of_two_decimals_stay_as_they_are(tmp_path):
    source = opened(tmp_path / "a.dcm", ImageOrientationPatient=b"0.71\\0.71\\0\\-0.71\\0.71\\0")
    assert source.notes == ()


@pytest.mark.parametrize(
    ("slope", "intercept", "factor", "offset"),
    [
        (b"2", b"", 2, 0), (b"2", None, 2, 0), (b"", b"-1024", 1, -1024), (None, b"-1024", 1, -1024),
        (b"0", b"5", 1, 5), (b"nan", b"5", 1, 5), (b"1,5", b"-3", 1.5, -3), (b"2", b"unknown", 2, 0),
    ],
)  # fmt: skip
def test_rescaling_is_completed(tmp_path, slope, intercept, factor, offset):
    stored = opened(tmp_path / "s.dcm", RescaleSlope=None, RescaleIntercept=None, PixelPaddingValue=None)
    assert not stored.notes
    source = opened(tmp_path / "a.dcm", RescaleSlope=slope, RescaleIntercept=intercept, PixelPaddingValue=None)
    assert np.array_equal(source.values(0), stored.values(0).astype(float) * factor + offset)
    assert "Rescale" in source.notes[0]


def test_without_any_rescaling_values_are_as_stored(tmp_path):
    source = opened(tmp_path / "a.dcm", RescaleSlope=b"", RescaleIntercept=b"", PixelPaddingValue=None)
    assert source.values(0).min() >= 900


@pytest.mark.parametrize("word", [b"monochrome1", b"MONOCHROME 1", b" Monochrome1 ", b"MONOCHROME1\\MONOCHROME1"])
def test_the_spelling_of_an_inverted_image_does_not_matter(tmp_path, word):
    source = opened(tmp_path / "a.dcm", PhotometricInterpretation=word)
    assert source.is_inverted


@pytest.mark.parametrize(
    ("allocated", "stored", "high"), [(8, 16, 15), (32, 16, 15), (12, 16, 15), (16, 0, 15), (16, 99, 15), (16, 16, 3)]
)
def test_bits_are_told_by_the_number_of_bytes(tmp_path, allocated, stored, high):
    path = write_dicom(tmp_path / "a.dcm", GREY, BitsAllocated=allocated, BitsStored=stored, HighBit=high)
    source = open_source(path)
    assert np.array_equal(source.values(0), GREY)
    assert "Bits" in source.notes[0] or "HighBit" in source.notes[0]


@pytest.mark.parametrize("samples", [1, 7])
def test_samples_are_told_by_the_number_of_bytes(tmp_path, samples):
    path = write_dicom(tmp_path / "a.dcm", COLOUR, SamplesPerPixel=samples)
    source = open_source(path)
    assert np.array_equal(source.values(0), COLOUR)
    assert "SamplesPerPixel" in source.notes[0]


def test_bytes_that_lack_or_are_too_many_are_told(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", GREY, PixelData=GREY.tobytes() + bytes(10))
    assert "its PixelData has 10 bytes more than its 8 x 6 pixels (Columns x Rows) need" in open_source(path).notes[0]
    path = write_dicom(tmp_path / "b.dcm", GREY, PixelData=GREY.tobytes()[:-2])
    with pytest.raises(ImageError, match=r"its PixelData has 94 bytes, but 96 are needed by its header \(Rows 6, Col"):
        open_source(path)


@pytest.mark.parametrize(
    ("centre", "width", "notes"),
    [("40\\-600", "400\\1500", 0), ("40\\-600", "400\\nan", 1), ("40\\x", "400\\1500", 1), ("40", "400\\0", 1)],
)
def test_the_first_window_counts_even_if_others_are_none(tmp_path, centre, width, notes):
    expected = opened(tmp_path / "s.dcm", WindowCenter=b"40", WindowWidth=b"400")
    source = opened(tmp_path / "a.dcm", WindowCenter=centre.encode(), WindowWidth=width.encode())
    assert np.array_equal(source.own_window(0), expected.own_window(0))
    assert len(source.notes) == notes


@pytest.mark.parametrize(
    "table", [[], [{}], [{"LUTDescriptor": [4, 0, 8]}], [{"LUTDescriptor": [4, 0], "LUTData": b"ab"}]]
)
def test_a_table_of_grey_levels_that_is_not_complete_is_left_out(tmp_path, table):
    items = []
    for one in table:
        item = pydicom.Dataset()
        if "LUTDescriptor" in one:
            item.add_new("LUTDescriptor", "US", one["LUTDescriptor"])
        if "LUTData" in one:
            item.add_new("LUTData", "OW", one["LUTData"])
        items.append(item)
    path = write_dicom(tmp_path / "a.dcm", GREY, VOILUTSequence=items)
    source = open_source(path)
    assert "its VOILUTSequence is empty or damaged, and is left out" in source.notes[0]
    assert source.own_window(0).max() == 255


@pytest.mark.parametrize("word", ["ODD", "linear?"])
def test_an_unknown_function_of_a_window_is_linear(tmp_path, word):
    path = write_dicom(tmp_path / "a.dcm", GREY, WindowCenter=0, WindowWidth=20, VOILUTFunction=word)
    plain = write_dicom(tmp_path / "b.dcm", GREY, WindowCenter=0, WindowWidth=20)
    assert np.array_equal(open_source(path).own_window(0), open_source(plain).own_window(0))
    assert "its VOILUTFunction" in open_source(path).notes[0]


def test_a_sound_header_is_not_touched(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", GREY, RescaleSlope="1", RescaleIntercept="-1024", WindowCenter=[1, 2])
    dataset, notes = read_mended(path)
    assert notes == ()
    assert dataset == pydicom.dcmread(path)


def test_many_notes_of_a_file_are_one_line(tmp_path):
    assert in_words(tmp_path, []) == ()
    assert in_words(tmp_path, ["a", "b", "a"]) == (f"{tmp_path}: a; b",)
    assert in_words(tmp_path, map(str, range(9))) == (f"{tmp_path}: 0; 1; 2; 3; and 5 more",)
