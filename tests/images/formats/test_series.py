import nibabel as nib
import numpy as np
import pydicom
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.source import Scope
from promise_seg.vocabulary import Axis
from tests.files import make_dicom, write_dicom, write_series

VOLUME = np.random.default_rng(0).integers(-100, 400, (5, 12, 10)).astype(np.int16)


def test_slices_come_in_the_order_in_which_they_lie(tmp_path):
    """Their files are named the other way round."""
    source = open_source(write_series(tmp_path / "ct", VOLUME))
    assert len(source) == 5
    assert all(np.array_equal(source.values(i), VOLUME[i]) for i in range(5))
    assert source.spacing == (0.5, 0.8)


def test_where_the_volume_lies(tmp_path):
    """The centre of each corner voxel, computed by hand from DICOM's LPS+, is where the affine in RAS+ says."""
    source = open_source(write_series(tmp_path / "ct", VOLUME))
    assert source.frame.spacing == pytest.approx((2.0, 0.5, 0.8))
    place = source.frame.affine @ [3, 2, 1, 1]  # slice 3, row 2, column 1
    assert place[:3] == pytest.approx([10 - 0.8, 20 - 2 * 0.5, 30 + 3 * 2.0])
    assert nib.aff2axcodes(source.frame.affine) == ("S", "P", "L")


def test_a_coronal_acquisition_is_taken_as_it_is_or_cut_another_way(tmp_path):
    folder = write_series(tmp_path / "mr", VOLUME, orientation=(1, 0, 0, 0, 0, -1))
    assert np.array_equal(open_source(folder).values(0), VOLUME[0])
    axial = open_source(folder, Axis.AXIAL)
    assert (len(axial), axial.values(0).shape) == (12, (5, 10))
    # rows of the file run to the feet, its slices to the back
    assert np.array_equal(axial.values(0), VOLUME[:, -1])
    assert axial.spacing == pytest.approx((2.0, 0.8))


def test_unevenly_stacked_slices_are_taken_one_by_one_but_not_cut(tmp_path):
    folder = write_series(tmp_path / "ct", VOLUME)
    next(folder.glob("slice003")).unlink()
    assert len(open_source(folder)) == 4
    assert open_source(folder).frame is None
    with pytest.raises(ImageError, match="not evenly stacked"):
        open_source(folder, Axis.CORONAL)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 40, "WindowWidth": 80}])
def test_a_cut_is_seen_as_the_slices_are(tmp_path, window):
    folder = write_series(tmp_path / "ct", VOLUME, **window)
    straight, cut = open_source(folder), open_source(folder, Axis.CORONAL)
    as_acquired = np.stack([straight.own_window(i) for i in range(5)])
    assert np.array_equal(cut.own_window(0), as_acquired[::-1, 0])


def test_several_series_in_a_folder_are_named(tmp_path):
    write_series(tmp_path / "both", VOLUME)
    write_series(tmp_path / "both", VOLUME[:2], prefix="other")
    with pytest.raises(ImageError, match=r"2 series \(.*the DICOM images of one series. Give each series"):
        open_source(tmp_path / "both")
    (tmp_path / "none").mkdir()
    with pytest.raises(ImageError, match="no DICOM images there"):
        open_source(tmp_path / "none")


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.88.33"])
def test_files_without_pixels_may_lie_beside_a_series(tmp_path, sop_class):
    """A structure set, and a structured report."""
    write_series(tmp_path / "s", count=3)
    other = make_dicom(np.zeros((2, 2), np.uint8), sop_class=sop_class)
    del other.Rows, other.Columns, other.PixelData
    other.save_as(tmp_path / "s/other.dcm", enforce_file_format=True)
    assert len(open_source(tmp_path / "s")) == 3
    (tmp_path / "alone").mkdir()
    (tmp_path / "s/other.dcm").rename(tmp_path / "alone/other.dcm")
    with pytest.raises(ImageError, match="no DICOM images there"):
        open_source(tmp_path / "alone")


def test_an_image_that_lost_its_pixels_is_not_left_out_of_its_series(tmp_path):
    write_series(tmp_path / "s", count=3)
    path = next((tmp_path / "s").iterdir())
    image = pydicom.dcmread(path)
    del image.Rows, image.PixelData
    image.save_as(path)
    with pytest.raises(ImageError, match="damaged headers"):
        open_source(tmp_path / "s")


def test_what_is_no_one_volume_is_refused(tmp_path):
    folder = write_series(tmp_path / "sizes", VOLUME)
    uid = open_source(folder).datasets()[0].SeriesInstanceUID
    write_dicom(folder / "odd", np.zeros((3, 3), np.int16), SeriesInstanceUID=uid)
    with pytest.raises(ImageError, match=r"its images differ in size.*Give each volume a folder of its own"):
        open_source(folder)
    folder = write_series(tmp_path / "scout", VOLUME)
    uid = open_source(folder).datasets()[0].SeriesInstanceUID
    write_dicom(folder / "odd", VOLUME[0], SeriesInstanceUID=uid, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    with pytest.raises(ImageError, match=r"have different directions.*Give each volume a folder of its own"):
        open_source(folder)
    folder = write_series(tmp_path / "times", VOLUME)
    first = open_source(folder).datasets()[0]
    write_dicom(
        folder / "again", VOLUME[0], SeriesInstanceUID=first.SeriesInstanceUID,
        ImagePositionPatient=first.ImagePositionPatient,
    )  # fmt: skip
    with pytest.raises(ImageError, match=r"have the same position.*Give each volume a folder of its own"):
        open_source(folder)


def test_elements_that_an_anonymiser_emptied_are_as_if_absent(tmp_path):
    folder = write_series(tmp_path / "ct", VOLUME)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.ImagePositionPatient = dataset.ImageOrientationPatient = dataset.PixelSpacing = None
        dataset.save_as(path)
    source = open_source(folder)
    assert source.frame is None
    assert [int(dataset.InstanceNumber) for dataset in source.datasets()] == [1, 2, 3, 4, 5]


def test_a_slice_that_is_shown_by_the_range_of_its_series_has_a_key_of_all_files(tmp_path):
    """A window without a width is no window."""
    volume = np.arange(3 * 12 * 10, dtype=np.int16).reshape(3, 12, 10)
    for name, width in (("a", "0"), ("b", ""), ("c", None), ("d", "80")):
        elements = {"WindowCenter": "40"} | ({} if width is None else {"WindowWidth": width})
        source = open_source(write_series(tmp_path / name, volume, **elements))
        assert len(source.slice_files(0, Scope.OWN)) == (1 if name == "d" else 3)


def test_corrections_of_any_image_are_those_of_its_series(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (3, 12, 10), np.uint8)
    source = open_source(write_series(tmp_path / "a", bits, BitsStored=1, HighBit=0))
    assert [source.differs_by(index) for index in range(3)] == [{"bits": 1}] * 3
    assert np.array_equal(source.own_window(2), bits[2] * 255)
    cut = open_source(tmp_path / "a", Axis.CORONAL)
    assert cut.differs_by(1) == {"slice": 1, "axis": "coronal", "bits": 1}
    assert set(np.unique(cut.own_window(1))) == {0, 255}
    volume = np.arange(3 * 12 * 10, dtype=np.int16).reshape(3, 12, 10)
    volume[1, :3] = -2000
    for path in write_series(tmp_path / "b", volume).iterdir():
        dataset = pydicom.dcmread(path)
        dataset.add_new("PixelPaddingValue", "US", 63536)
        dataset.save_as(path)
    source = open_source(tmp_path / "b")
    assert [source.differs_by(index) for index in range(3)] == [{"padding": "by its bits"}] * 3
    assert "its PixelPaddingValue (63536) is read as -2000" in source.notes[0]


def test_a_series_is_decoded_no_further_than_to_its_first_correction(tmp_path, monkeypatch):
    bits = np.random.default_rng(0).integers(0, 2, (4, 12, 10), np.uint8)
    source = open_source(write_series(tmp_path / "a", bits, BitsStored=1, HighBit=0))
    decoded, image_of = [], source._image
    monkeypatch.setattr(source, "_image", lambda index: decoded.append(index) or image_of(index))
    assert source.corrections == {"bits": 1}
    assert decoded == [0]
