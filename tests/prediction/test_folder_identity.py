"""A folder can be used with other options as long as no prediction in it depends on them."""

import pytest
from PIL import Image

from promise_seg.errors import PromiseError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.own_folders import PREDICTION_IDENTITY
from promise_seg.prediction.folder_identity import FolderIdentity
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.identity import read_identity
from promise_seg.prediction.labelling import Labeller
from promise_seg.vocabulary import OutputFormat, Slices
from tests.files import write_series
from tests.helpers import disc_image

MODEL = {"model": "a"}


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(2):
        Image.fromarray(disc_image(number)[0]).save(tmp_path / f"in/{number}.png")
    return find_inputs([tmp_path / "in"])


def test_a_run_that_predicted_nothing_leaves_the_folder_to_other_options(labeller, pictures, tmp_path):
    inputs, out = pictures, tmp_path / "out"
    failed = predict_folder(labeller, inputs, out, OutputFormat.DICOM_SEG)
    assert (failed.predicted, len(failed.problems)) == (0, len(inputs))
    assert not (out / PREDICTION_IDENTITY).exists()
    assert predict_folder(labeller, inputs, out, OutputFormat.PNG).predicted == len(inputs)


def test_an_option_without_effect_on_the_predictions_may_change(labeller, pictures, tmp_path):
    inputs, out = pictures, tmp_path / "out"
    blended = Labeller(labeller.predictors, slices=Slices.BLEND)
    predict_folder(blended, inputs, out, keep_empty_frames=True, every=2)
    assert predict_folder(labeller, inputs, out).already_there == len(inputs)
    assert read_identity(out) == labeller.identity() | {"format": "auto"}
    with pytest.raises(PromiseError, match="contains predictions in another format"):
        predict_folder(labeller, inputs, out, OutputFormat.PNG)


def test_an_option_that_predictions_depend_on_may_not_change(labeller, tmp_path):
    inputs, out = find_inputs([write_series(tmp_path / "ct")]), tmp_path / "out"
    predict_folder(Labeller(labeller.predictors, slices=Slices.BLEND), inputs, out)
    with pytest.raises(PromiseError, match="contains predictions with --slices blend"):
        predict_folder(labeller, inputs, out)


def test_a_process_that_lost_the_folder_to_another_writes_nothing(tmp_path):
    first, same = FolderIdentity(tmp_path, MODEL), FolderIdentity(tmp_path, MODEL)
    first.remove_if_empty()
    same.confirm()
    assert read_identity(tmp_path) == MODEL
    same.remove_if_empty()
    FolderIdentity(tmp_path, {"model": "b"})
    with pytest.raises(PromiseError, match="another model"):
        same.confirm()
