import shutil

import numpy as np
import pydicom
import pytest
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.vocabulary import Axis
from tests.files import write_dicom, write_nifti, write_series
from tests.helpers import disc_image


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        Image.fromarray(disc_image(i, 30 + i, 40)[0]).save(folder / f"{i}.png")
    return folder


def found_with_notes(*places):
    notes = []
    return {one.stem: len(one.files) for one in find_inputs(places, notes.append)}, notes


def names(*places):
    return [one.path.name for one in find_inputs(places)]


def test_files_and_folders_are_found(images):
    assert names(images / "3.png", images) == ["3.png", "0.png", "1.png", "2.png"]


def test_what_cannot_be_predicted_is_said_first(images, tmp_path):
    with pytest.raises(ImageError, match="no such file or folder"):
        find_inputs([images / "9.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no images found; expected files ending in"):
        find_inputs([tmp_path / "empty"])
    Image.fromarray(disc_image(0)[0]).save(images / "0.jpg")
    with pytest.raises(ImageError, match=r"would both be written to masks/0"):
        find_inputs([images])


def test_volumes_lose_the_whole_of_their_suffix(tmp_path):
    write_nifti(tmp_path / "ct.nii.gz", np.zeros((3, 4, 5), np.int16))
    assert [one.stem for one in find_inputs([tmp_path])] == ["ct"]


def test_an_export_of_dicom_is_sorted_into_volumes_and_single_images(tmp_path):
    """Files of any name, in folders of any depth: two series, an image without a place, and a file that is none."""
    write_series(tmp_path / "patient/study/ct", count=4)
    write_series(tmp_path / "patient/study/both", count=3)
    write_series(tmp_path / "patient/study/both", count=2, prefix="other")
    write_dicom(tmp_path / "patient/xray", np.zeros((5, 6), np.uint16), placed=False)
    (tmp_path / "patient/notes").write_text("nothing to see")
    found = {one.stem: len(one.files) for one in find_inputs([tmp_path / "patient"])}
    assert sorted(found.values()) == [0, 2, 3, 4]
    assert (found["xray"], found["ct"]) == (0, 4)
    assert {found["both_1"], found["both_2"]} == {2, 3}
    for one in find_inputs([tmp_path / "patient/study"]):
        assert len(one.open(Axis.AUTO)) == len(one.files)


def test_names_that_recur_in_an_export_are_told_apart(tmp_path):
    for patient in ("PA1", "PA2"):
        write_series(tmp_path / patient / "ST1/SE1", count=3)
        write_dicom(tmp_path / patient / "ST2/IM1", np.zeros((5, 6), np.uint16), placed=False)
    (tmp_path / "PA2/ST1/loop").symlink_to(tmp_path)
    found = sorted(one.stem for one in find_inputs([tmp_path]))
    assert found == ["PA1_ST1_SE1", "PA1_ST2_IM1", "PA2_ST1_SE1", "PA2_ST2_IM1"]


def test_segmentations_are_not_predicted(tmp_path):
    write_dicom(tmp_path / "a.dcm", np.zeros((5, 6), np.uint16))
    write_dicom(tmp_path / "seg.dcm", np.zeros((5, 6), np.uint8), sop_class="1.2.840.10008.5.1.4.1.1.66.4")
    assert names(tmp_path) == ["a.dcm"]


def write_times(folder, *, split=False):
    """One series of three slices at two times, told apart by AcquisitionNumber; in a folder for each or in one."""
    volume, uid = np.random.default_rng(0).integers(0, 9, (3, 12, 10)).astype(np.int16), "1.2.3"
    for time in (1, 2):
        write_series(
            folder / str(time) if split else folder, volume + time, prefix=f"t{3 - time}_", AcquisitionNumber=time
        )
    for path in (p for p in folder.rglob("*") if p.is_file()):
        dataset = pydicom.dcmread(path)
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.SeriesNumber = uid, uid, 4
        dataset.save_as(path)


def test_the_planes_of_a_localizer_stand_for_themselves(tmp_path):
    """The auditor's case: one series, three directions, one image each."""
    for i, direction in enumerate([[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]]):
        write_dicom(
            tmp_path / f"loc/I{i}", np.zeros((4, 5), np.int16), ImageOrientationPatient=direction,
            SeriesInstanceUID="1.2", StudyInstanceUID="1.1",
        )  # fmt: skip
    found, notes = found_with_notes(tmp_path)
    assert found == {"I0": 0, "I1": 0, "I2": 0}
    assert notes == [f"{tmp_path}/loc: series 1 was divided into 3 single images: by direction"]


def test_times_of_one_series_are_volumes(tmp_path):
    write_times(tmp_path / "dyn")
    found, notes = found_with_notes(tmp_path)
    assert found == {"dyn_acquisition1": 3, "dyn_acquisition2": 3}
    assert notes == [f"{tmp_path}/dyn: series 4 was divided into 2 volumes: by acquisition"]
    for one in find_inputs([tmp_path]):
        source = one.open(Axis.AUTO)
        assert len(source) == 3
        assert {int(d.AcquisitionNumber) for d in source.datasets()} == {int(one.stem[-1])}


def test_stems_do_not_depend_on_the_names_of_files(tmp_path):
    write_times(tmp_path / "dyn")
    write_series(tmp_path / "dyn", count=4, prefix="a", SeriesNumber=9)
    before = {one.stem: one.open(Axis.AUTO).instance_uids for one in find_inputs([tmp_path])}
    for number, path in enumerate(sorted((tmp_path / "dyn").iterdir(), reverse=True)):
        path.rename(path.with_name(f"z{number:03}"))
    assert {one.stem: one.open(Axis.AUTO).instance_uids for one in find_inputs([tmp_path])} == before
    assert set(before) == {"dyn_1_acquisition1", "dyn_1_acquisition2", "dyn_2"}


def test_times_in_a_folder_each_are_named_by_it(tmp_path):
    write_times(tmp_path / "dyn", split=True)
    found, notes = found_with_notes(tmp_path)
    assert found == {"1": 3, "2": 3}
    assert len(notes) == 1


def test_a_series_in_several_folders_is_one_volume(tmp_path, monkeypatch):
    """Named by the folder that holds them all, even if it is named as the one where we are."""
    write_series(tmp_path / "spread", count=3)
    for number, path in enumerate(sorted((tmp_path / "spread").iterdir())):
        (tmp_path / f"spread/D{number}").mkdir()
        path.rename(tmp_path / f"spread/D{number}/IM")
    for place in (tmp_path, tmp_path / "spread"):
        assert found_with_notes(place) == ({"spread": 3}, [])
    monkeypatch.chdir(tmp_path / "spread")
    assert found_with_notes(".") == ({"spread": 3}, [])
    monkeypatch.chdir(tmp_path / "spread/D0")
    assert found_with_notes("..") == ({"spread": 3}, [])


def test_copies_in_an_export_are_predicted_once(tmp_path):
    write_series(tmp_path / "one", count=3)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    found, notes = found_with_notes(tmp_path)
    assert found == {"one": 3}
    assert notes == [
        f"{tmp_path}/two/slice001: left out: a copy of {tmp_path}/one/slice001 (and 2 more copies)"
    ]  # fmt: skip


def test_a_scout_leaves_the_name_of_a_folder_to_its_volume(tmp_path):
    write_series(tmp_path / "ct", count=3)
    uid = pydicom.dcmread(tmp_path / "ct/slice001")
    write_dicom(
        tmp_path / "ct/scout", np.zeros((30, 5), np.int16), ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
        SeriesInstanceUID=uid.SeriesInstanceUID, StudyInstanceUID=uid.StudyInstanceUID,
    )  # fmt: skip
    found, notes = found_with_notes(tmp_path)
    assert found == {"ct": 3, "scout": 0}
    assert notes == [f"{tmp_path}/ct: series 1 was divided into 1 volume and 1 single image: by size"]


def test_the_files_of_a_simple_series_are_hashed_in_the_order_of_their_names(tmp_path):
    """As they always were, so that a restart knows them."""
    write_series(tmp_path / "ct", count=4)
    (one,) = find_inputs([tmp_path / "ct"])
    assert (one.stem, one.name) == ("ct", str(tmp_path / "ct"))
    assert list(one.files) == sorted((tmp_path / "ct").iterdir())


@pytest.mark.parametrize(("name", "why"), [("a\0b", "not a valid file name"), ("x" * 999, "name too long")])
def test_impossible_names_end_in_one_line(tmp_path, name, why):
    with pytest.raises(ImageError, match=why) as caught:
        find_inputs([tmp_path / name])
    assert "\0" not in str(caught.value)


def test_a_file_in_a_closed_folder_ends_in_one_line(tmp_path, monkeypatch):
    def closed(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "stat", closed)
    with pytest.raises(ImageError, match=r"a\.png: cannot be opened: Permission denied"):
        find_inputs([tmp_path / "a.png"])


def test_notes_come_before_the_error_that_nothing_is_there(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").write_text("nothing to see")
    notes = []
    with pytest.raises(ImageError, match="no images found"):
        find_inputs([tmp_path], notes.append)
    assert len(notes) == 1


def test_the_command_prints_notes(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    Image.fromarray(disc_image(0)[0]).save(tmp_path / "in/0.png")
    (tmp_path / "in/0.xlsx").write_text("a table")
    (tmp_path / "run").mkdir()
    assert main(["predict", str(tmp_path / "run"), str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert f"note: {tmp_path}: left out 1 file(s) that are not images: .xlsx 1" in capsys.readouterr().err


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_stems_keep_the_tree_of_a_folder(tmp_path):
    """Pictures and volumes of the same names; DICOM is named as ever."""
    for patient in ("p1", "p2"):
        picture(tmp_path / patient / "day 1/a.png")
        write_nifti(tmp_path / patient / "ct.nii.gz", np.zeros((3, 4, 5), np.int16))
        write_series(tmp_path / patient / "mr", count=2)
    assert {one.stem for one in find_inputs([tmp_path])} == {
        "p1/ct", "p1/day 1/a", "p2/ct", "p2/day 1/a", "p1_mr", "p2_mr"
    }  # fmt: skip
    assert {one.stem for one in find_inputs([tmp_path / "p1"])} == {"ct", "day 1/a", "mr"}


def test_folders_and_files_with_the_same_names_are_named_below_what_they_share(tmp_path, monkeypatch):
    paths = [picture(tmp_path / name) for name in ("x/p1/a.png", "x/p1/b.png", "x/p2/a.png", "x/p2/deep/c.png")]
    for places in ([tmp_path / "x/p1", tmp_path / "x/p2"], paths):
        assert [one.stem for one in find_inputs(places)] == ["p1/a", "p1/b", "p2/a", "p2/deep/c"]
    assert [one.stem for one in find_inputs([tmp_path / "x/p1", paths[3]])] == ["a", "b", "c"]  # none recurs
    monkeypatch.chdir(tmp_path / "x")
    assert [one.stem for one in find_inputs(["p1", tmp_path / "x/p1/a.png", "p2"])] == [
        "p1/a", "p1/b", "p2/a", "p2/deep/c"
    ]  # fmt: skip
    write_series(tmp_path / "x/p1/ct", count=2)
    write_series(tmp_path / "x/p2/ct", count=3)
    found = {one.stem: one.name for one in find_inputs(["p1", "p2"])}
    assert found["p2/ct"] == "p2/ct"
    assert set(found) == {"p1/a", "p1/b", "p1/ct", "p2/a", "p2/deep/c", "p2/ct"}


def test_two_files_of_one_folder_that_differ_in_their_suffix_are_refused_with_their_number(tmp_path):
    for name in ("p1/a.png", "p1/a.jpg", "p2/a.png", "p2/a.bmp"):
        picture(tmp_path / name)
    with pytest.raises(ImageError, match=r"p1/a\.jpg and .*p1/a\.png would both be written to masks/p1/a. The same is "
                       "true of p2/a. Rename"):  # fmt: skip
        find_inputs([tmp_path])


def test_what_predictions_consist_of_is_not_read_wherever_they_lie(tmp_path):
    for name in ("a.png", "out/masks/a.png", "out/overlays/a.png", "new/masks/a.png", "masks/a.png", "model.json",
                 "p1/c.png", "out/model.json", "out/predictions.csv", "run/curves.png", "run/log.jsonl",
                 "run/settings.json", "set_merged_masks/a.png"):  # fmt: skip
        picture(tmp_path / name)
    notes = []
    found = find_inputs([tmp_path], notes.append, tmp_path / "new")
    assert [one.stem for one in found] == ["a", "p1/c"]
    assert notes == [
        f"{tmp_path}: left out 6 folders (the first: {tmp_path}/masks) that promise-seg wrote. Pass a folder itself to "
        "read the images in it"
    ]
