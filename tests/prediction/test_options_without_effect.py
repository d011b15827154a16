"""An option that meant none of the inputs is named at the end; one that meant a single input is not."""

import numpy as np
import pytest
from PIL import Image

from promise_seg.images.exports.inputs import find_inputs
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from promise_seg.vocabulary import OutputFormat, Slices
from tests.files import write_nifti, write_video
from tests.helpers import disc_image, make_model


@pytest.fixture
def inputs(tmp_path):
    """A folder with a picture, a volume and a video, and what of these is to be predicted."""
    picture, folder = disc_image(7, 32, 40)[0], tmp_path / "in"
    folder.mkdir()
    Image.fromarray(picture).save(folder / "a.png")
    write_nifti(folder / "ct.nii", np.random.default_rng(0).integers(0, 99, (12, 14, 3)).astype(np.int16))
    write_video(folder / "clip.mkv", np.stack([picture] * 3))
    return lambda *names: find_inputs([folder / name for name in names])


def notes_about(option, labeller, inputs, out, output=OutputFormat.AUTO, **options):
    outcome = predict_folder(labeller, inputs, out, output, **options)
    assert outcome.problems == []
    return [note for note in outcome.notes if note.startswith(option)]


def test_every_is_for_videos(labeller, inputs, tmp_path):
    (note,) = notes_about("--every 2: none of the inputs is a video", labeller, inputs("a.png", "ct.nii"),
                          tmp_path / "a", every=2)  # fmt: skip
    assert "all images and slices were predicted" in note
    assert notes_about("--every", labeller, inputs("a.png", "clip.mkv"), tmp_path / "b", every=2) == []
    assert notes_about("--every", labeller, inputs("a.png"), tmp_path / "c") == []


def test_keeping_empty_frames_is_for_dicom_seg(labeller, inputs, tmp_path):
    assert notes_about("--keep-empty-frames", labeller, inputs("a.png"), tmp_path / "a", keep_empty_frames=True)
    assert notes_about("--keep-empty-frames", labeller, inputs("a.png"), tmp_path / "b") == []


def test_names_are_for_formats_that_hold_them(tiny_sam, inputs, tmp_path):
    labeller = Labeller({1: Predictor(make_model(tiny_sam))}, {1: "polyp"})
    (note,) = notes_about("--name", labeller, inputs("a.png"), tmp_path / "a")
    assert "geojson" in note
    for output in (OutputFormat.GEOJSON, OutputFormat.COCO):
        assert notes_about("--name", labeller, inputs("a.png"), tmp_path / str(output), output) == []


def test_slices_are_those_of_volumes(tiny_sam, inputs, tmp_path):
    labeller = Labeller({1: Predictor(make_model(tiny_sam))}, slices=Slices.BLEND)
    assert notes_about("--slices blend", labeller, inputs("a.png"), tmp_path / "a")
    assert notes_about("--slices", labeller, inputs("a.png", "ct.nii"), tmp_path / "b") == []


def test_nothing_is_said_where_an_input_could_not_be_read(labeller, inputs, tmp_path):
    (tmp_path / "in/broken.mp4").write_bytes(b"no video")
    outcome = predict_folder(labeller, inputs("a.png", "broken.mp4"), tmp_path / "out", every=2)
    assert len(outcome.problems) == 1
    assert not any("--every" in note for note in outcome.notes)


def test_nothing_is_said_where_some_inputs_were_there_already(labeller, inputs, tmp_path):
    """What is there already is not opened again: whether it is a video is not known."""
    for names in (("a.png",), ("a.png", "ct.nii")):
        found = notes_about("--every", labeller, inputs(*names), tmp_path / "out", every=2)
        assert len(found) == (names == ("a.png",))
