"""Videos among the images of a folder: a mask for each frame, or for every Nth."""

import json

import numpy as np
import pytest
import tifffile

from promise_seg.errors import PromiseError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.folders import predict_folder
from promise_seg.vocabulary import OutputFormat
from tests.files import write_nifti, write_video
from tests.helpers import disc_image
from tests.prediction.tables import table


@pytest.fixture
def clip(tmp_path):
    frames = np.stack([disc_image(7, 32, 40)[0]] * 5)
    (tmp_path / "in/p1").mkdir(parents=True)
    return write_video(tmp_path / "in/p1/clip.mkv", frames)


def test_the_mask_of_a_video_has_its_frames(clip, labeller, tmp_path):
    out = tmp_path / "out"
    assert predict_folder(labeller, find_inputs([tmp_path / "in"]), out).predicted == 1
    assert [line["slice"] for line in table(out)] == list("01234")
    mask = open_source(out / "masks/p1/clip.tif")
    assert len(mask) == 5
    for index in range(5):
        assert read_labels(out / "masks/p1/clip.tif", open_source(clip), index).shape == (32, 40)
    assert predict_folder(labeller, find_inputs([tmp_path / "in"]), out).already_there == 1


def test_every_nth_frame_of_a_video_has_a_picture_of_its_number(clip, labeller, tmp_path):
    write_nifti(tmp_path / "in/ct.nii", np.random.default_rng(0).integers(0, 99, (12, 14, 3)).astype(np.int16))
    out, inputs = tmp_path / "out", find_inputs([tmp_path / "in"])
    assert predict_folder(labeller, inputs, out, every=2).predicted == 2
    assert sorted(path.name for path in (out / "masks/p1/clip").iterdir()) == ["000.png", "002.png", "004.png"]
    lines = table(out)
    assert [line["slice"] for line in lines if "clip" in line["image"]] == list("024")
    assert [line["slice"] for line in lines if "ct" in line["image"]] == list("012")  # slices lie in space, not in time
    assert predict_folder(labeller, inputs, out, every=2).already_there == 2
    with pytest.raises(PromiseError, match="contains predictions of videos with --every 2"):
        predict_folder(labeller, inputs, out, every=3)


def test_polygons_of_every_nth_frame_name_the_frames_of_the_file(clip, labeller, tmp_path):
    outcome = predict_folder(labeller, find_inputs([clip]), tmp_path / "out", OutputFormat.GEOJSON, every=2)
    assert outcome.problems == []
    features = json.loads((tmp_path / "out/masks/clip.geojson").read_text())["features"]
    assert {one["geometry"]["plane"]["z"] for one in features} == {0, 2, 4}


def test_a_file_that_became_several_slices_is_not_named_by_its_old_mask(labeller, tmp_path):
    path, out = tmp_path / "a.tif", tmp_path / "out"
    frames = np.stack([disc_image(7, 32, 40)[0]] * 3)
    tifffile.imwrite(path, frames[0], photometric="rgb")
    predict_folder(labeller, find_inputs([path]), out, OutputFormat.PNG)
    assert [line["mask"] for line in table(out)] == ["masks/a.png"]
    tifffile.imwrite(path, frames, photometric="rgb")
    predict_folder(labeller, find_inputs([path]), out, OutputFormat.PNG)
    assert {line["mask"] for line in table(out)} == {"masks/a"}
    assert [one.name for one in (out / "masks").iterdir()] == ["a"]


def test_a_video_with_too_many_frames_says_how_many_to_leave_out(clip, labeller, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_MAX_VALUES", str(2 * 32 * 40 * 3 // 2))
    (problem,) = predict_folder(labeller, find_inputs([clip]), tmp_path / "a").problems
    assert "clip.mkv: too long: the labels of 5 frames of 40 x 32 pixels" in problem
    assert "(--every 2)" in problem
    assert predict_folder(labeller, find_inputs([clip]), tmp_path / "b", every=2).predicted == 1


def test_a_truncated_video_is_predicted_with_a_note(labeller, tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (20, 32, 40, 3)).astype(np.uint8)
    path = write_video(tmp_path / "a.avi", frames)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])
    outcome = predict_folder(labeller, find_inputs([path]), tmp_path / "out", every=2)
    assert outcome.predicted == 1
    (note,) = outcome.notes
    assert note.startswith(f"{path}: ends after ")
