"""Pictures and volumes at any depth: outputs keep the tree, and no two of them share a place."""

import shutil

import numpy as np
import pytest
from PIL import Image

from promise_seg.images.exports.inputs import find_inputs
from promise_seg.prediction.folders import predict_folder
from promise_seg.vocabulary import OutputFormat
from tests.files import write_nifti
from tests.helpers import disc_image
from tests.prediction.tables import table


@pytest.fixture
def patients(tmp_path):
    """The same names in the folders of two patients."""
    for number, patient in enumerate(("p1", "p2")):
        folder = tmp_path / "patients" / patient / "day1"
        folder.mkdir(parents=True)
        for name in ("a", "b"):
            Image.fromarray(disc_image(number + ord(name), 30, 36)[0]).save(folder / f"{name}.png")
    return tmp_path / "patients"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_outputs_keep_the_tree_of_the_images(patients, labeller, tmp_path):
    out = tmp_path / "out"
    assert predict_folder(labeller, find_inputs([patients]), out).predicted == 4
    places = {f"{patient}/day1/{name}.png" for patient in ("p1", "p2") for name in "ab"}
    assert set(contents(out / "masks")) == set(contents(out / "overlays")) == places
    for line in table(out):
        mask = np.asarray(Image.open(out / line["mask"]))
        assert int(line["area_pixels"]) == (mask > 0).sum()
        assert line["image"] == str(patients / line["mask"].removeprefix("masks/"))
    alone = tmp_path / "alone"
    predict_folder(labeller, find_inputs([patients / "p2/day1"]), alone)
    for name in "ab":  # the same image alone has the same mask
        assert (alone / f"masks/{name}.png").read_bytes() == (out / f"masks/p2/day1/{name}.png").read_bytes()


def test_a_stopped_run_through_a_tree_goes_on_inside_it(patients, labeller, monkeypatch):
    """The output lies in the folder that is read, and then is that folder."""
    for out in (patients / "out", patients):
        seen = []

        def stop_after_two(*facts, seen=seen):
            seen.append(facts)
            if len(seen) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            predict_folder(labeller, find_inputs([patients], output=out), out, progress=stop_after_two)
        assert len(table(out)) == 2
        outcome = predict_folder(labeller, find_inputs([patients], output=out), out)
        assert (outcome.predicted, outcome.already_there, outcome.problems) == (2, 2, [])
        before = contents(out)
        monkeypatch.chdir(patients)  # the same images by another name
        outcome = predict_folder(labeller, find_inputs(["."], output=out), out)
        assert (outcome.predicted, outcome.already_there) == (0, 4)
        assert contents(out) == before
        shutil.rmtree(patients / "out", ignore_errors=True)


def test_a_tree_that_was_moved_is_known_by_its_relative_paths(patients, labeller, tmp_path):
    out = tmp_path / "out"
    predict_folder(labeller, find_inputs([patients]), out)
    patients.rename(tmp_path / "moved")
    outcome = predict_folder(labeller, find_inputs([tmp_path / "moved"]), out)
    assert (outcome.predicted, outcome.already_there) == (0, 4)
    assert {line["image"] for line in table(out)} == {
        str(tmp_path / "moved" / patient / f"day1/{name}.png") for patient in ("p1", "p2") for name in "ab"
    }


def test_links_to_one_file_are_images_of_their_own(labeller, tmp_path):
    """As in stores of files by their content: two patients may share one."""
    (tmp_path / "store").mkdir()
    Image.fromarray(disc_image(0)[0]).save(tmp_path / "store/x.png")
    for patient in ("p1", "p2"):
        (tmp_path / "data" / patient).mkdir(parents=True)
        (tmp_path / "data" / patient / "a.png").symlink_to(tmp_path / "store/x.png")
    out = tmp_path / "out"
    assert predict_folder(labeller, find_inputs([tmp_path / "data"]), out).predicted == 2
    assert set(contents(out / "masks")) == {"p1/a.png", "p2/a.png"}


def test_the_slices_of_a_volume_and_a_folder_of_the_same_name_do_not_mix(labeller, tmp_path):
    """Whichever comes first; with a format of one file they have places of their own."""
    data = tmp_path / "data"
    write_nifti(data / "ct.nii.gz", np.random.default_rng(0).integers(0, 99, (12, 14, 2)).astype(np.int16))
    (data / "ct").mkdir()
    Image.fromarray(disc_image(0)[0]).save(data / "ct/000.png")
    inputs = find_inputs([data])
    first = predict_folder(labeller, inputs, tmp_path / "a", OutputFormat.PNG)
    assert (first.predicted, len(first.problems)) == (1, 1)
    assert "ct/000.png: its place, masks/ct/000, is in the folder masks/ct, which is taken by" in first.problems[0]
    second = predict_folder(labeller, inputs[::-1], tmp_path / "b", OutputFormat.PNG)
    assert (second.predicted, len(second.problems)) == (1, 1)
    assert (
        "ct.nii.gz: the folder of its slices, masks/ct, is taken by the masks of images such as" in second.problems[0]
    )
    assert predict_folder(labeller, inputs, tmp_path / "c").predicted == 2
