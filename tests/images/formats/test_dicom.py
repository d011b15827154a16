import re

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLosslessSV1, RLELossless

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_image
from promise_seg.images.reading import make_reading
from promise_seg.vocabulary import Axis
from tests.files import make_dicom, write_dicom, write_series

GREY = np.arange(-100, 380, dtype=np.int16).reshape(20, 24)

COMPRESSED = [
    ("693_J2KI.dcm", (512, 512)), ("JPEG2000.dcm", (1024, 256)), ("MR_small_RLE.dcm", (64, 64)),
    ("MR_small_jpeg_ls_lossless.dcm", (64, 64)), ("MR_small_jp2klossless.dcm", (64, 64)),
    ("JPEGLSNearLossless_16.dcm", (50, 10)), ("JPGExtended.dcm", (1024, 256)), ("JPEG-lossy.dcm", (1024, 256)),
    ("SC_rgb_jpeg_dcmtk.dcm", (100, 100)), ("SC_rgb_rle.dcm", (100, 100)), ("SC_rgb_jls_lossy_line.dcm", (100, 100)),
    ("examples_jpeg2k.dcm", (480, 640)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape"), COMPRESSED)
def test_the_library_s_compressed_files(name, shape):
    image = read_image(get_testdata_file(name))
    assert image.shape == (*shape, 3)
    assert image.std() > 0


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm",
                                  "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_expb.dcm"])  # fmt: skip
def test_one_image_in_many_transfer_syntaxes_is_one_image(name):
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array
    assert np.array_equal(open_source(get_testdata_file(name)).values(0), plain)


def test_jpeg_lossless_is_decoded_to_the_bit(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4096, (40, 30)).astype(np.uint16)
    dataset = make_dicom(pixels, BitsStored=12, HighBit=11)
    dataset.PixelData = encapsulate([imagecodecs.ljpeg_encode(pixels, bitspersample=12)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert np.array_equal(open_source(tmp_path / "a.dcm").values(0), pixels)


def test_rescaled_to_hounsfield_units(tmp_path):
    write_dicom(tmp_path / "a.dcm", GREY.astype(np.uint16) + 100, RescaleSlope=2, RescaleIntercept=-1024)
    assert open_source(tmp_path / "a.dcm").values(0)[0, :3].tolist() == [-1024, -1022, -1020]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_file_s_window_agrees_with_the_library_s(tmp_path, function):
    from pydicom.pixels.processing import apply_windowing

    write_dicom(tmp_path / "a.dcm", GREY, WindowCenter=["100", "7"], WindowWidth=["150", "9"], VOILUTFunction=function)
    expected = apply_windowing(GREY, pydicom.dcmread(tmp_path / "a.dcm"))
    low, high = -(2**15), 2**15 - 1  # the library's range of a signed 16-bit image
    expected = (expected - low) / (high - low) * 255
    assert np.abs(read_image(tmp_path / "a.dcm")[..., 0] - expected).max() <= 1


def test_a_table_of_grey_values_is_looked_up(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [4, 0, 8]
    table.LUTData = np.array([0, 10, 200, 255], np.uint16).tobytes()
    table["LUTData"].VR = "OW"
    pixels = np.array([[0, 1], [2, 3]], np.uint16)
    write_dicom(tmp_path / "a.dcm", pixels, VOILUTSequence=Sequence([table]))
    assert read_image(tmp_path / "a.dcm")[..., 0].tolist() == [[0, 10], [200, 255]]


PACKED = (np.arange(4096) // 16).astype(np.uint8)


@pytest.mark.parametrize("data", [PACKED.tobytes(), PACKED.astype("<u2").tobytes()], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("vr", ["OW", "US"])
def test_a_table_of_bytes_may_be_stored_as_bytes_or_words(tmp_path, data, vr):
    """And may have more than 256 entries."""
    pixels = (np.arange(64).reshape(8, 8) * 60).astype(np.uint16)
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 8])
    table.add_new("LUTData", vr, data if vr == "OW" else np.frombuffer(data, "<u2").tolist())
    expected = PACKED[pixels]
    source = open_source(write_dicom(tmp_path / "a.dcm", pixels, VOILUTSequence=Sequence([table])))
    assert np.array_equal(source.own_window(0), expected)
    assert source.differs_by(0) == {"table": "whole"}
    modality = open_source(write_dicom(tmp_path / "b.dcm", pixels, ModalityLUTSequence=Sequence([table])))
    assert np.array_equal(modality.values(0), expected)
    assert modality.differs_by(0) == {}


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_a_table_of_values_may_have_any_number_of_bits(tmp_path, bits):
    entries = (2**bits - 1 - np.arange(5) * 100).astype(np.uint16)
    table = Dataset()
    table.add_new("LUTDescriptor", "SS", [5, -2, bits])
    table.add_new("LUTData", "OW", entries.tobytes())
    pixels = np.arange(-4, 8, dtype=np.int16).reshape(3, 4)
    source = open_source(write_dicom(tmp_path / "a.dcm", pixels, ModalityLUTSequence=Sequence([table])))
    assert np.array_equal(source.values(0), entries[np.clip(pixels + 2, 0, 4)])


@pytest.mark.parametrize(("descriptor", "data", "words"), [
    ([4096, 0, 8], PACKED[:99].tobytes(), "declares 4,096 entries"), ([4, 0, 7], bytes(8), "entries of 7 bits"),
    ([4, 0, 8], bytes([0, 1] * 4), "entries of 8 bits, but one is 256"),
])  # fmt: skip
def test_a_table_that_contradicts_itself_is_refused(tmp_path, descriptor, data, words):
    table = Dataset()
    table.add_new("LUTDescriptor", "US", descriptor)
    table.add_new("LUTData", "OW", data)
    path = write_dicom(tmp_path / "a.dcm", np.zeros((2, 2), np.uint16), ModalityLUTSequence=Sequence([table]))
    with pytest.raises(ImageError, match=words):
        open_source(path).values(0)


def test_monochrome1_is_turned_round(tmp_path):
    for window in ({}, {"WindowCenter": 100, "WindowWidth": 300}):
        write_dicom(tmp_path / "1.dcm", GREY, PhotometricInterpretation="MONOCHROME1", **window)
        write_dicom(tmp_path / "2.dcm", GREY, PhotometricInterpretation="MONOCHROME2", **window)
        for reading in (None, make_reading(window="40,80")):
            assert np.array_equal(
                read_image(tmp_path / "1.dcm", reading), 255 - read_image(tmp_path / "2.dcm", reading)
            )


def test_bits_that_do_not_end_where_they_should_are_refused(tmp_path):
    """pydicom would read 12 bits that are stored at the upper end without the four highest of them."""
    path = write_dicom(tmp_path / "a.dcm", np.full((4, 5), 0xFFF0, np.uint16), BitsStored=12, HighBit=15)
    with pytest.raises(ImageError, match=r"a\.dcm: its 12 bits \(BitsStored\) end at bit 15 \(HighBit\), not at 11"):
        read_image(path)
    read_image(write_dicom(tmp_path / "b.dcm", np.full((4, 5), 0x0FFF, np.uint16), BitsStored=12, HighBit=11))


def test_a_place_that_was_emptied_is_none(tmp_path):
    """As anonymising leaves it."""
    path = write_dicom(tmp_path / "a.dcm", np.zeros((4, 5), np.uint16))
    dataset = pydicom.dcmread(path)
    dataset.ImagePositionPatient = None
    dataset.save_as(path)
    source = open_source(path)
    assert source.frame is None
    assert read_image(path).shape == (4, 5, 3)


def test_colours_and_palettes():
    expected = pydicom.dcmread(get_testdata_file("examples_rgb_color.dcm")).pixel_array
    assert np.array_equal(read_image(get_testdata_file("examples_rgb_color.dcm")), expected)
    palette = pydicom.dcmread(get_testdata_file("examples_palette.dcm"))
    from pydicom.pixels.processing import apply_color_lut

    expected = apply_color_lut(palette.pixel_array, palette) >> 8
    assert np.array_equal(read_image(get_testdata_file("examples_palette.dcm")), expected)


@pytest.mark.parametrize("colours", ["HSV", "YBR_PARTIAL_422", "YBR_PARTIAL_420"])
def test_colours_that_are_not_converted_are_refused(tmp_path, colours):
    path = write_dicom(tmp_path / "a.dcm", np.zeros((4, 6, 3), np.uint8), PhotometricInterpretation=colours)
    with pytest.raises(ImageError, match=rf"its colours are {colours} .*; expected RGB, .* Convert it to RGB"):
        open_source(path)


def test_frames_are_slices():
    source = open_source(get_testdata_file("examples_ybr_color.dcm"))
    assert (len(source), source.is_volume) == (30, True)
    assert source.values(29).shape == (240, 320, 3)
    assert not np.array_equal(source.values(0), source.values(29))


def test_windows_of_frames_are_found_in_their_groups(tmp_path):
    def group(level):
        voi, transformation = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = level, 2
        transformation.RescaleSlope, transformation.RescaleIntercept = 1, 10
        item = Dataset()
        item.FrameVOILUTSequence = Sequence([voi])
        item.PixelValueTransformationSequence = Sequence([transformation])
        return item

    pixels = np.full((2, 4, 4), 90, np.uint16)
    write_dicom(
        tmp_path / "a.dcm", pixels, placed=False, NumberOfFrames=2,
        PerFrameFunctionalGroupsSequence=Sequence([group(50), group(150)]),
    )  # fmt: skip
    assert open_source(tmp_path / "a.dcm").values(0)[0, 0] == 100
    assert [int(read_image(tmp_path / "a.dcm", index=i)[0, 0, 0]) for i in (0, 1)] == [255, 0]


def test_spacing_is_read(tmp_path):
    write_dicom(tmp_path / "a.dcm", GREY, PixelSpacing=[0.5, 0.7])
    assert open_source(tmp_path / "a.dcm").spacing == (0.5, 0.7)


@pytest.mark.parametrize(
    ("name", "words"),
    [("rtplan.dcm", "contains no image: its class is RT Plan Storage"),
     ("MR_truncated.dcm", "its PixelData has 8,130 bytes, but 8,192"),
     ("liver_1frame.dcm", "a DICOM segmentation, which can be a mask but not an image"), ("badVR.dcm", "damaged")],
)  # fmt: skip
def test_what_is_no_image_is_said_in_one_line(name, words):
    with pytest.raises(ImageError, match=words) as caught:
        read_image(get_testdata_file(name))
    assert "\n" not in str(caught.value)


def test_run_lengths_may_look_like_the_header_of_a_jpeg(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    pixels[10, 5:15] = list(bytes.fromhex("ffc0000b084000400001"))  # 16384 x 64 pixels
    dataset = make_dicom(pixels)
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert np.array_equal(open_source(tmp_path / "a.dcm").values(0), pixels)


def test_frames_that_are_compressed_are_decoded_one_at_a_time(tmp_path):
    dataset = make_dicom(np.stack([np.full((8, 8), v, np.uint8) for v in (1, 2, 3)]), NumberOfFrames=3)
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    source = open_source(tmp_path / "a.dcm")
    assert [int(source.values(i)[0, 0]) for i in range(3)] == [1, 2, 3]


def enhanced(path, volume, spacing=(0.5, 0.8), step=2.0):
    """An enhanced image: each frame says where it lies in a group of its own."""
    plane, measures, shared = Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = list(spacing), step
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([plane]), Sequence([measures])
    groups = []
    for number in range(len(volume)):
        place, group = Dataset(), Dataset()
        place.ImagePositionPatient = [-10, -20, 30 + number * step]
        group.PlanePositionSequence = Sequence([place])
        groups.append(group)
    return write_dicom(
        path, volume, placed=False, NumberOfFrames=len(volume), SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence(groups),
    )  # fmt: skip


def test_frames_are_cut_along_an_axis_as_the_same_series_is(tmp_path):
    volume = np.random.default_rng(0).integers(-100, 400, (5, 12, 10)).astype(np.int16)
    one, many = enhanced(tmp_path / "a.dcm", volume), write_series(tmp_path / "ct", volume)
    for axis in ("auto", "axial", "coronal", "sagittal"):
        first, second = open_source(one, Axis(axis)), open_source(many, Axis(axis))
        assert len(first) == len(second)
        assert first.spacing == pytest.approx(second.spacing)
        np.testing.assert_allclose(first.frame.affine, second.frame.affine)
        for index in range(len(first)):
            assert np.array_equal(first.own_window(index), second.own_window(index))
    assert open_source(one, Axis.CORONAL).differs_by(3) == {"slice": 3, "axis": "coronal"}


def test_frames_that_do_not_say_where_they_lie_are_not_cut(tmp_path):
    write_dicom(tmp_path / "clip.dcm", np.zeros((3, 8, 8), np.uint8), placed=False, NumberOfFrames=3)
    with pytest.raises(ImageError, match=r"clip\.dcm: its frames are not evenly stacked"):
        open_source(tmp_path / "clip.dcm", Axis.CORONAL)
    write_dicom(tmp_path / "one.dcm", GREY)
    assert len(open_source(tmp_path / "one.dcm", Axis.CORONAL)) == 1


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_no_part_of_any_range(tmp_path, photometric):
    padded = GREY.copy()
    padded[:5] = -2000
    for name, pixels, elements in (("a", padded, {"PixelPaddingValue": -2000}), ("b", GREY[5:], {})):
        write_dicom(tmp_path / f"{name}.dcm", pixels, PhotometricInterpretation=photometric, **elements)
    for window in ("own", "percentile", "40,80"):
        reading = make_reading(window=window)
        seen = read_image(tmp_path / "a.dcm", reading)
        assert not seen[:5].any()
        assert np.array_equal(seen[5:], read_image(tmp_path / "b.dcm", reading))


@pytest.mark.parametrize("window", ["own", "percentile", "40,80"])
def test_an_image_of_padding_alone_is_black(tmp_path, window):
    path = write_dicom(tmp_path / "a.dcm", np.full_like(GREY, -2000), PixelPaddingValue=-2000)
    assert not read_image(path, make_reading(window=window)).any()


@pytest.mark.parametrize(
    ("kind", "value", "limit", "vr", "note"),
    [
        (np.int16, -2000, -1990, "US", r"its PixelPaddingValue \(63536\) is read as -2000, because its .* are signed"),
        (np.uint16, 63536, 63540, "SS", r"\(-2000\) is read as 63536, because its pixels are unsigned"),
        (np.int16, -2000, -1990, "SS", None),
        (np.uint16, 63536, 63540, "US", None),
    ],
)
def test_padding_of_another_sign_than_the_pixels_is_padding(tmp_path, kind, value, limit, vr, note):
    """Some scanners write it as an unsigned number whatever the pixels are."""
    pixels = np.maximum(GREY, 0).astype(kind)
    pixels[:5] = value
    pixels[4] = limit
    path = write_dicom(tmp_path / "a.dcm", pixels, RescaleSlope="1", RescaleIntercept="-1024")
    dataset = pydicom.dcmread(path)
    for tag, number in ((0x00280120, value), (0x00280121, limit)):
        dataset.add_new(tag, vr, number % 2**16 if vr == "US" else (number + 2**15) % 2**16 - 2**15)
    dataset.save_as(path)
    source = open_source(path)
    assert np.isnan(source.values(0)[:5]).all()
    assert np.array_equal(source.values(0)[5:], pixels[5:] - np.float32(1024))
    assert source.differs_by(0) == ({} if note is None else {"padding": "by its bits"})
    assert [bool(re.search(note, line)) for line in source.notes] == [True] if note else source.notes == ()


def test_a_padding_value_that_no_pixel_has_changes_no_key(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", GREY)
    dataset = pydicom.dcmread(path)
    dataset.add_new(0x00280120, "US", 63536)
    dataset.save_as(path)
    assert open_source(path).differs_by(0) == {}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("allocated", [1, 8])
def test_a_single_bit_is_black_or_white(tmp_path, photometric, allocated):
    bits = np.random.default_rng(0).integers(0, 2, (16, 24), np.uint8)
    elements = {"PhotometricInterpretation": photometric, "BitsAllocated": allocated, "BitsStored": 1, "HighBit": 0}
    data = np.packbits(bits, bitorder="little") if allocated == 1 else bits
    path = write_dicom(tmp_path / "a.dcm", bits, PixelData=data.tobytes(), **elements)
    source = open_source(path)
    assert np.array_equal(source.as_stored(0), bits)
    assert np.array_equal(source.own_window(0), 255 * (1 - bits if photometric == "MONOCHROME1" else bits))
    assert source.differs_by(0) == {"bits": 1}
    windowed = write_dicom(
        tmp_path / "b.dcm", bits, PixelData=data.tobytes(), WindowCenter=0.5, WindowWidth=1, **elements
    )
    assert open_source(windowed).differs_by(0) == {}
