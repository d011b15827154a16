"""Files of version 1 stay readable: see ``tests/data_v1/README.md``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from promise_seg.checkpoint import load_checkpoint
from promise_seg.compat.reference import load_reference
from promise_seg.compat.reference_names import EMBEDDED_CONFIG
from promise_seg.compat.reference_writing import to_reference
from promise_seg.config_versions import as_version_1
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import CheckpointError
from promise_seg.images.reading import make_reading
from promise_seg.learning.run_log import LOG_FILE
from promise_seg.learning.run_note import read_note
from promise_seg.learning.training import TrainingRun
from promise_seg.model import ModelConfig
from promise_seg.prediction.predictor import Predictor
from promise_seg.vocabulary import Variant
from tests.helpers import make_fixed_sam, make_model

DATA = Path(__file__).parent / "data_v1"
EXPECTED = json.loads((DATA / "expected.json").read_text())
PROMPTS = {"checkpoint": {}, "run": {"points_xy": [[15, 12], [2, 20]], "point_labels": [1, 0]}}


@pytest.mark.parametrize("path", sorted((DATA / "configs").iterdir()), ids=lambda path: path.stem)
def test_a_config_of_version_1_says_the_same_in_version_2(path):
    before = json.loads(path.read_text())
    config = ModelConfig.of_any_version(before, str(path))
    apm, reading = config.apm or config.oracle, config.reading
    now = {
        "format_version": 1, "variant": config.variant, "apm": config.apm and config.apm.kind,
        "position_code": getattr(apm, "position_code", None), "num_points": apm.num_points,
        "num_foreground": apm.num_foreground, "train_also": config.train_also, "fit": config.fit,
        "window": str(reading.window), "axis": reading.axis, "crop_border": reading.crop_border,
        "masks": reading.masks, "label": reading.label, "mask_choice": config.mask_choice,
        "postprocessing": config.postprocessing.model_dump(), "sam": config.sam, "sam_sha256": config.sam_sha256,
        "image_size": config.image_size, "promise_seg_version": config.promise_seg_version,
    }  # fmt: skip
    assert now == before
    assert config.oracle.num_points == before["num_points"]
    again = json.loads(config.model_dump_json())
    assert again["format_version"] == 2
    assert ModelConfig.of_any_version(again, "") == config
    whole, changed = again, json.loads(config.model_dump_json(exclude_defaults=True))
    assert as_version_1(whole, changed) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [({"window": "bones"}, "reading.window: .*--window bones"), ({"surprise": 1}, "surprise: unknown key"),
     ({"position_code": None}, "apm.cross.position_code: expected"), ({"apm": None}, "position_code: unknown"),
     ({"apm": "heatmap"}, "apm.heatmap.position_code: unknown"), ({"num_points": 0}, "num_points: expected at least 1"),
     ({"format_version": 3}, "format 3, but this promise-seg reads formats 1 to 2")],
)  # fmt: skip
def test_what_version_1_could_not_hold_is_refused(change, message):
    values = json.loads((DATA / "configs/cross_reference.json").read_text())
    with pytest.raises(CheckpointError, match=f"^here: .*{message}"):
        ModelConfig.of_any_version(values | change, "here")


def test_a_config_of_version_1_inside_a_reference_file_is_read(tiny_sam, tmp_path):
    path = tmp_path / "m.pt"
    to_reference(make_model(tiny_sam, Variant.IPS), path)
    state = torch.load(path, weights_only=True)
    text = (DATA / "configs/ips_class.json").read_bytes()
    state[EMBEDDED_CONFIG] = torch.from_numpy(np.frombuffer(text, np.uint8).copy())
    torch.save(state, path)
    assert load_reference(path).config.reading == make_reading(label="3", axis="axial")


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
