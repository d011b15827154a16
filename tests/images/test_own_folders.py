"""The names that are compared are those that are written."""

from PIL import Image

from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.own_folders import (
    PREDICTION_FAILURES,
    PREDICTION_LOG,
    PREDICTION_PARQUET,
    PREDICTION_PARTS,
    PREDICTION_RETRIEVED,
    is_run_or_masks,
    of_predictions,
)
from promise_seg.learning.run_log import LOG_FILE
from promise_seg.learning.run_note import SETTINGS_FILE
from promise_seg.parallel.parts import Part
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.merging import merge_parts
from promise_seg.prediction.part_run import predict_part
from promise_seg.prediction.predictor import Predictor
from promise_seg.vocabulary import OutputFormat
from tests.helpers import disc_image, make_model


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_everything_that_predicting_writes_is_known(tiny_sam, tmp_path):
    Image.fromarray(disc_image(0)[0]).save(tmp_path / "a.png")
    out = tmp_path / "out"
    labeller = Labeller({1: Predictor(make_model(tiny_sam))}, instances=True)
    predict_folder(labeller, find_inputs([tmp_path]), out, OutputFormat.COCO)
    # Some of these are not always there.
    others = {PREDICTION_LOG, PREDICTION_PARTS, PREDICTION_FAILURES, PREDICTION_RETRIEVED, *PREDICTION_PARQUET}
    known = names(out) | others
    assert of_predictions(out, names(out)) == known
    assert of_predictions(tmp_path, names(tmp_path)) == frozenset()
    assert of_predictions(tmp_path, names(tmp_path), tmp_path) == known


def test_everything_that_predicting_parts_writes_is_known(tiny_sam, tmp_path):
    Image.fromarray(disc_image(0)[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    out = tmp_path / "out"
    labeller = Labeller({1: Predictor(make_model(tiny_sam))})
    predict_part(labeller, find_inputs([tmp_path]), out, part=Part(1, 1))
    merge_parts(out)
    assert {PREDICTION_PARTS, PREDICTION_FAILURES} <= names(out) <= of_predictions(out, names(out))
    assert [one.path.name for one in find_inputs([tmp_path])] == ["a.png", "b.png"]


def test_a_run_is_known_by_its_files(tmp_path):
    assert is_run_or_masks(tmp_path, [SETTINGS_FILE, LOG_FILE, "curves.png"])
    assert not is_run_or_masks(tmp_path, [SETTINGS_FILE, "curves.png"])
