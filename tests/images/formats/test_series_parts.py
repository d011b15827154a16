import warnings
from dataclasses import replace

import numpy as np
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom_files import read_dataset
from promise_seg.images.formats.series_parts import divide_series, read_place
from tests.files import make_dicom, write_dicom

AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]


def image(path, tmp_path, height=0.0, **elements):
    place = {"ImagePositionPatient": [0, 0, height], "ImageOrientationPatient": AXIAL, "SeriesInstanceUID": "1.2"}
    return read_place(tmp_path / path, make_dicom(np.zeros((4, 5), np.int16), **(place | elements)))


def shape(parts):
    """Label and names of each part, sorted."""
    return sorted((part.name, *sorted(image.path.name for image in part.images)) for part in parts)


def times(tmp_path, count=3, **of_time):
    """Three slices at each time, in all; ``of_time`` says the value of an element at a time."""
    return [
        image(f"{'abc'[s]}{t}", tmp_path, 2.0 * s, InstanceNumber=10 * s + t, **{n: f(t) for n, f in of_time.items()})
        for s in range(3)
        for t in range(count)
    ]


def test_a_volume_is_one_part_whatever_its_order(tmp_path):
    images = [image(str(i), tmp_path, 2.5 * i, InstanceNumber=9 - i, AcquisitionTime=f"1000{i:02}") for i in range(4)]
    (part,) = divide_series(images[::-1])
    assert (part.name, part.by, len(part.images)) == ("", (), 4)


def test_a_localizer_is_divided_by_direction_and_a_scout_leaves_the_name_of_the_volume(tmp_path):
    turned = [image(f"c{i}", tmp_path, ImagePositionPatient=[0, i, 0], ImageOrientationPatient=CORONAL) for i in "12"]
    flat = [image(f"a{i}", tmp_path, i) for i in range(2)]
    parts = divide_series([*flat, *turned])
    assert shape(parts) == [("direction1", "a0", "a1"), ("direction2", "c1", "c2")]
    assert {part.by for part in parts} == {("direction",)}
    assert shape(divide_series([*flat, turned[0]])) == [("", "a0", "a1"), ("", "c1")]


def test_rounding_does_not_divide(tmp_path):
    """Values on both sides of any border of rounding."""
    images = [
        image(str(i), tmp_path, 2.0 * i, ImageOrientationPatient=[1, 0.0049999 + 2e-7 * i, 0, 0, 1, 0])
        for i in range(4)
    ]
    assert len(divide_series(images)) == 1


def test_sizes_are_divided(tmp_path):
    images = [image(f"{rows}{i}", tmp_path, i, Rows=rows) for rows in (4, 8) for i in range(2)]
    assert shape(divide_series(images)) == [("size1", "40", "41"), ("size2", "80", "81")]


@pytest.mark.parametrize(
    ("element", "word", "value"),
    [
        ("TemporalPositionIdentifier", "time", lambda t: t + 1),
        ("EchoNumbers", "echo", lambda t: t + 1),
        ("AcquisitionNumber", "acquisition", lambda t: t or None),  # the first does not say it
        ("DiffusionBValue", "b-value", lambda t: (0.0, 50.0, 1000.0)[t]),
        ("TriggerTime", "time", lambda t: (9.5, 90.5, 100.5)[t]),  # in order of number, not of letters
        ("AcquisitionTime", "time", lambda t: f"09300{t}.250000"),
        ("ContentTime", "time", lambda t: f"09300{t}"),
    ],
)
def test_images_at_one_place_are_told_apart(tmp_path, element, word, value):
    found = divide_series(times(tmp_path, **{element: value}))
    assert shape(found) == [(f"{word}{t + 1}", f"a{t}", f"b{t}", f"c{t}") for t in range(3)]
    assert {part.by for part in found} == {(word,)}


def test_elements_that_do_not_divide_into_volumes_are_passed_over(tmp_path):
    """One has a value for each image, one for each slice, one for two times of three."""
    images = [
        image(
            f"{s}{t}", tmp_path, 2.0 * s, TriggerTime=t, ContentTime=f"0930{3 * s + t:02}",
            TemporalPositionIdentifier=3 * s + t, EchoNumbers=s + 1, AcquisitionNumber=min(t, 1),
        )
        for s in range(3)
        for t in range(3)
    ]  # fmt: skip
    assert shape(divide_series(images)) == [(f"time{t + 1}", f"0{t}", f"1{t}", f"2{t}") for t in range(3)]


def test_a_last_time_that_was_cut_short_is_a_part_too(tmp_path):
    images = times(tmp_path, TemporalPositionIdentifier=lambda t: t + 1)[:-1]
    assert [len(part.images) for part in divide_series(images)] == [3, 3, 2]


def test_two_elements_together(tmp_path):
    images = times(tmp_path, 4, EchoNumbers=lambda t: t % 2 + 1, TemporalPositionIdentifier=lambda t: t // 2 + 1)
    found = shape(divide_series(images))
    assert found[1] == ("time-echo2", "a1", "b1", "c1")
    assert len(found) == 4


def test_folders_and_then_the_order_of_numbers_tell_apart_what_elements_do_not(tmp_path):
    folders = [image(f"{t}/{i}", tmp_path, 2.0 * i) for t in "xy" for i in range(3)]
    parts = divide_series(folders)
    assert {part.by for part in parts} == {("folder",)}
    assert all(len({image.path.parent for image in part.images}) == 1 for part in parts)
    turned = [replace(one, number=-one.number) for one in times(tmp_path)]
    assert shape(divide_series(turned)) == [(f"order{3 - t}", f"a{t}", f"b{t}", f"c{t}") for t in (2, 1, 0)]


def test_phases_of_one_slice_are_single_images(tmp_path):
    images = [image(str(i), tmp_path, TriggerTime=30.0 * i) for i in range(5)]
    assert shape(divide_series(images)) == [("", str(i)) for i in range(5)]


def test_scouts_and_times_together(tmp_path):
    scout = image("scout", tmp_path, ImageOrientationPatient=CORONAL)
    found = divide_series([scout, *times(tmp_path, 2, EchoNumbers=lambda t: t)])
    assert shape(found) == [("", "scout"), ("echo1", "a0", "b0", "c0"), ("echo2", "a1", "b1", "c1")]


def test_what_says_of_no_place_has_none(tmp_path):
    assert image("none", tmp_path, ImagePositionPatient=None) is None
    assert image("frames", tmp_path, NumberOfFrames=3) is None


@pytest.mark.parametrize(
    "nonsense",
    [
        {"ImagePositionPatient": [1, 2]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
    ],
)
def test_nonsense_is_named(tmp_path, nonsense):
    with pytest.raises(ImageError, match=r"odd: damaged or truncated: .* place|odd: damaged or truncated: its rows"):
        image("odd", tmp_path, **nonsense)


def test_images_without_a_series_belong_to_their_folder(tmp_path):
    """And series of two patients are two, whatever an anonymiser wrote."""
    same = {"StudyInstanceUID": "1.1"}
    x, y = (image(f"{folder}/1", tmp_path, SeriesInstanceUID="", **same) for folder in "xy")
    assert x.series != y.series
    assert image("1", tmp_path, PatientID="a", **same).series != image("2", tmp_path, PatientID="b", **same).series
    assert image("x/1", tmp_path, **same).series == image("y/2", tmp_path, **same).series


def test_headers_that_break_the_standard_are_read_without_a_word(tmp_path):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        write_dicom(tmp_path / "a", np.zeros((4, 5), np.int16), SOPInstanceUID="1.2.x")
        header = read_dataset(tmp_path / "a")
        heard.clear()  # writing it warns
        assert read_place(tmp_path / "a", header).uid == "1.2.x"
    assert not heard
