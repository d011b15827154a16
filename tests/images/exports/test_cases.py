"""Files of one case as one input of a model that reads several of them."""

from pathlib import Path

import pytest
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.channels import parse_channels
from promise_seg.images.exports.inputs import find_inputs
from tests.files import write_series


@pytest.fixture
def lay(tmp_path):
    def files(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4)).save(path)
        return tmp_path

    return files


def found(places, channels):
    notes = []
    inputs = find_inputs(places, notes.append, channels=parse_channels(channels))
    return {one.stem: {path.name for path in (one.path, *one.beside)} for one in inputs}, notes


NUMBERED = ("a_0000.png", "a_0001.png", "b_0000.png", "b_0001.png")


@pytest.mark.parametrize("channels", ["all", "0,1", "1"])
def test_models_that_choose_no_files_by_name_take_each_file_by_itself(lay, channels):
    inputs, notes = found([lay(*NUMBERED)], channels)
    assert inputs == {Path(name).stem: {name} for name in NUMBERED}
    assert notes == []


def test_a_case_is_one_input_and_is_called_after_itself(lay):
    inputs, notes = found([lay(*NUMBERED, "c.png")], "0001,0000")
    assert inputs == {"a": {*NUMBERED[:2]}, "b": {*NUMBERED[2:]}, "c": {"c.png"}}
    assert notes == []
    assert found([lay() / "b_0001.png"], "0001,0000")[0] == {"b": {*NUMBERED[2:]}}  # one file names its case


def test_other_files_of_a_case_are_left_out_and_named(lay):
    folder = lay("p-1_t1.png", "p-1_flair.png", "p-1_seg.png", "p-2_t1.png", "p-2_flair.png", "other.png")
    inputs, notes = found([folder], "flair")
    assert inputs == {"p-1": {"p-1_flair.png"}, "p-2": {"p-2_flair.png"}, "other": {"other.png"}}
    (note,) = notes
    assert note.startswith("left out 3 file(s) beside those of the channels that the model reads (flair): p-1_seg.png,")


def test_cases_in_folders_of_their_own_are_called_after_them(lay):
    folder = lay("p1/t1.png", "p1/FLAIR.png", "p2/t1.png", "p2/FLAIR.png")
    inputs, _ = found([folder / "p1", folder / "p2"], "FLAIR,t1")
    assert inputs == {"p1": {"t1.png", "FLAIR.png"}, "p2": {"t1.png", "FLAIR.png"}}
    assert found([folder], "FLAIR,t1")[0] == inputs


def test_cases_of_the_same_name_in_several_folders_keep_the_tree(lay):
    names = ("a_t1.png", "a_t2.png")
    folder = lay(*(f"{patient}/day1/{name}" for patient in ("p1", "p2") for name in names))
    inputs, _ = found([folder], "t1,t2")
    assert inputs == {"p1/day1/a": {*names}, "p2/day1/a": {*names}}


def test_files_of_other_kinds_are_other_cases(lay):
    folder = lay("a_t1.png", "a_t2.bmp")
    with pytest.raises(ImageError, match="would both be written to masks/a"):
        find_inputs([folder], channels=parse_channels("t1,t2"))


def test_a_further_channel_is_part_of_what_is_predicted(lay):
    folder = lay(*NUMBERED)
    (one, _) = find_inputs([folder], channels=parse_channels("0000,0001"))
    before = one.sha256()
    Image.new("L", (5, 5)).save(folder / "a_0001.png")
    assert one.sha256() != before


def test_series_of_one_case_are_one_input_that_is_called_after_its_folder(tmp_path):
    for case in ("p1", "p2"):
        for number, channel in enumerate(("T1", "T2", "DWI")):
            write_series(tmp_path / case / channel, SeriesNumber=number)
        Image.new("L", (4, 4)).save(tmp_path / case / "seg.png")
    inputs, notes = found([tmp_path], "T2,T1")
    assert inputs == {"p1": {"T1", "T2"}, "p2": {"T1", "T2"}}
    assert any("left out 4 file(s) beside those of the channels that the model reads (T2,T1)" in note for note in notes)
    assert any(f"{tmp_path / 'p1/seg.png'}" in note for note in notes)
    assert found([tmp_path / "p1/T1"], "T2,T1")[0] == {"p1": {"T1", "T2"}}
    (first, _) = find_inputs([tmp_path], channels=parse_channels("T2,T1"))
    before = first.sha256()
    (other,) = (path for path in first.beside)
    next(other.iterdir()).write_bytes(b"changed")
    assert first.sha256() != before


def test_series_of_cases_in_one_folder_are_called_after_their_cases(tmp_path):
    for case in ("a_T1", "a_T2", "b_T1", "b_T2"):
        write_series(tmp_path / "export" / case)
    assert found([tmp_path], "T1,T2")[0] == {"a": {"a_T1", "a_T2"}, "b": {"b_T1", "b_T2"}}


def test_files_of_other_kinds_beside_channels_are_left_out(lay):
    folder = lay("p1_flair.png", "p1_t1.png", "p1_seg.bmp")
    inputs, (note,) = found([folder], "flair,t1")
    assert inputs == {"p1": {"p1_flair.png", "p1_t1.png"}}
    assert "left out 1 file(s)" in note
    assert "p1_seg.bmp" in note
