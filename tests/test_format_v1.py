"""Files of version 1 stay readable: see ``tests/data_v1/README.md``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from promise_seg.checkpoint import load_checkpoint
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.reading import make_reading
from promise_seg.learning.run_note import read_note
from promise_seg.learning.training import LOG_FILE, TrainingRun
from promise_seg.prediction.predictor import Predictor
from tests.helpers import make_fixed_sam

DATA = Path(__file__).parent / "data_v1"
EXPECTED = json.loads((DATA / "expected.json").read_text())
PROMPTS = {"checkpoint": {}, "run": {"points_xy": [[15, 12], [2, 20]], "point_labels": [1, 0]}}


@pytest.mark.parametrize("name", list(PROMPTS))
def test_a_model_of_version_1_predicts_the_same_mask(name):
    model = load_checkpoint(DATA / name, make_fixed_sam())
    expected = EXPECTED[name]
    found = Predictor(model).predict(DATA / "data/images/5.png", **PROMPTS[name])
    np.testing.assert_allclose(found.points_xy, expected["points_xy"], atol=2e-3)
    np.testing.assert_allclose(found.mask_probs, expected["mask_probs"], atol=1e-3)
    assert found.predicted_iou == pytest.approx(expected["predicted_iou"], abs=1e-3)
    mask = np.array([[pixel == "#" for pixel in row] for row in expected["mask"]])
    sure = np.abs(np.array(expected["mask_probs"]) - model.config.postprocessing.threshold) > 1e-3
    assert np.array_equal(found.mask[sure], mask[sure])
    assert sure.mean() > 0.99


@pytest.mark.parametrize("name", list(PROMPTS))
def test_its_hash_stays_so_that_what_was_noted_of_it_is_still_of_it(name):
    """Trust scores, looks at test rows and stopped predictions are of a model by its hash."""
    assert load_checkpoint(DATA / name, make_fixed_sam()).sha256() == EXPECTED[name]["model_sha256"]


def test_a_stopped_run_of_version_1_ends_where_it_would_have_ended(store, accelerator, tmp_path):
    shutil.copytree(DATA / "run", tmp_path / "run")
    settings = read_note(tmp_path / "run").settings
    rows = check_rows(read_manifest(DATA / "data/manifest.csv"), make_reading(crop_border=True))
    run = TrainingRun(tmp_path / "run", rows, make_fixed_sam(), store, settings, accelerator)
    assert run.epoch == 1
    run.run()
    first, second = [json.loads(line) for line in (tmp_path / "run" / LOG_FILE).read_text().splitlines()]
    before = (DATA / "run" / LOG_FILE).read_text().splitlines()
    assert first == json.loads(before[0])
    for name, value in EXPECTED["whole_run"][1].items():
        assert second[name] == (pytest.approx(value, abs=1e-3) if isinstance(value, float) else value)
