"""Measures at a threshold that all images share are those of the field, and older evaluations are still read."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from py_sod_metrics import Emeasure, FmeasureHandler, FmeasureV2

from promise_seg.assessment.comparing import compare, read_scored
from promise_seg.assessment.evaluation import Assessment, evaluate, score_row
from promise_seg.assessment.report import summarise, values_by_measure, write_results
from promise_seg.assessment.structure import THRESHOLDS
from promise_seg.benchmarking.scoring import is_scored
from promise_seg.benchmarking.spec import BenchmarkSpec
from promise_seg.errors import SettingsError
from promise_seg.images.reading import Reading
from promise_seg.inference.rows import DecodedRow
from promise_seg.storage.sealed import opened
from promise_seg.vocabulary import PromptSource
from tests.assessment.samples import STORED, stored, subject
from tests.helpers import make_model, strict_json


def scene(seed, height):
    """Probabilities that reach from 0 to 1, and a truth that is found at another threshold in each image."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((30, 40), bool)
    truth[5:20, 8 + seed : 25 + seed] = True
    probs = np.clip(np.where(truth, height, 0.15) + rng.normal(0, 0.08, truth.shape), 0.01, 0.99)
    probs[0, 0], probs[10, 20], probs[25, 30:34] = 0, 1, 1  # never perfect, where the library's E exceeds 1
    return np.round(probs * 255).astype(np.uint8), truth


SCENES = [scene(seed, height) for seed, height in enumerate((0.3, 0.5, 0.9, 0.45))]


def scored(pixels, truth):
    checked = SimpleNamespace(
        name="a.png", row=SimpleNamespace(where="m.csv:2"), mask=lambda: truth, reading=Reading()
    )  # fmt: skip
    probs = torch.from_numpy(pixels / 255)[None, None]
    sample = SimpleNamespace(checked=checked, geometry=SimpleNamespace(logits_to_image=lambda logits: logits))
    masks = SimpleNamespace(  # exact probabilities: a logit and its sigmoid may fall short of a threshold
        chosen=lambda choice: (probs.logit(eps=1e-6)[0], torch.ones(1)), probs=lambda choice: probs[0, 0].numpy(),
        predicted_iou=lambda choice: 1.0,
    )  # fmt: skip
    return score_row(DecodedRow(sample, masks), "0", Assessment(prompts=PromptSource.NONE), full=True)


@pytest.fixture(scope="module")
def values():
    return values_by_measure([scored(*one) for one in SCENES])


def test_means_are_the_library_s_over_all_images(values):
    e_measure = Emeasure()
    f_measure = FmeasureV2({"fm": FmeasureHandler(beta=0.3, with_dynamic=True, with_adaptive=True)})
    for pixels, truth in SCENES:
        e_measure.step(pixels, truth.astype(np.uint8) * 255)
        f_measure.step(pixels, truth.astype(np.uint8) * 255)
    em, fm = e_measure.get_results()["em"], f_measure.get_results()["fm"]
    means = {name: np.mean(column) for name, column in values.items()}
    assert means["maxEm"] == pytest.approx(em["curve"].max(), abs=1e-6)
    assert means["meanEm"] == pytest.approx(em["curve"].mean(), abs=1e-6)
    assert means["adpEm"] == pytest.approx(em["adp"], abs=1e-6)
    assert means["maxFm"] == pytest.approx(fm["dynamic"].max(), abs=1e-6)
    assert means["meanFm"] == pytest.approx(fm["dynamic"].mean(), abs=1e-6)
    assert means["adpFm"] == pytest.approx(fm["adaptive"], abs=1e-6)


def test_the_mean_of_each_image_s_own_best_is_no_longer_what_is_reported(values):
    own = [values_by_measure([scored(*one)]) for one in SCENES]
    for name in ("maxEm", "maxFm"):
        assert np.mean(values[name]) < np.mean([one[name][0] for one in own]) - 0.01


def test_files_have_the_values_at_the_threshold_that_the_summary_states(tiny_sam, checked, tmp_path):
    assessment = Assessment(prompts=PromptSource.ORACLE)
    results = evaluate(make_model(tiny_sam), checked, assessment)
    summary = summarise(results, assessment, subject())
    table, means = write_results(tmp_path, results, summary)
    written = strict_json(means)
    assert set(written["thresholds"]) == {"maxEm", "maxFm"}
    index = int(np.argmin(np.abs(THRESHOLDS - written["thresholds"]["maxEm"])))
    images = read_scored(table).images
    for result, image in zip(results, images.values(), strict=True):
        assert image["maxEm"] == pytest.approx(float(result.curves["maxEm"][index]), abs=1e-6)
    mean = np.mean([image["maxEm"] for image in images.values()])
    assert written["mean"]["maxEm"] == pytest.approx(mean, abs=1e-5)
    assert written["mean"]["maxEm"] == pytest.approx(np.max(np.mean([r.curves["maxEm"] for r in results], 0)), abs=1e-5)


@pytest.fixture
def older(tmp_path):
    """Two evaluations by a version that took each image's own best threshold."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(STORED / "own_points.json", tmp_path / name / "summary_apm.json")
        head = "image,split,group,image_sha256,truth_sha256,prompts,dice,e_max,e_mean,e_adaptive"
        lines = [f"{n}.png,test,g{n},s{n},t{n},apm,0.{n},0.9,0.5,0.{n}" for n in range(1, 7)]
        (tmp_path / name / "scores_apm.csv").write_text("\n".join([head, *lines]))
    return [read_scored(tmp_path / name) for name in ("a", "b")]


def test_older_evaluations_are_read_by_the_names_of_now(older):
    assert older[0].summary.mean["adpEm"] == stored("own_points")["mean"]["e_adaptive"]
    assert older[0].summary.interval["meanEm"] == tuple(stored("own_points")["interval"]["e_mean"])
    assert len(compare(older, ["dice", "meanEm", "adpEm", "e_max"])) == 4


@pytest.mark.parametrize(
    ("measure", "words"),
    [("maxEm", "It was written by an older version: evaluate again to get maxEm"),
     ("adpFm", "It was written by an older version: evaluate again to get adpFm"),
     ("e_mean", "E_mean is now called meanEm"),
     ("panoptic_quality", "expected one of adpEm, dice, e_max, meanEm$")],
)  # fmt: skip
def test_what_older_evaluations_cannot_say_is_refused_with_the_way_out(older, measure, words):
    with pytest.raises(SettingsError, match=f"does not have {measure} for every image.*{words}"):
        compare(older, [measure])


def test_a_benchmark_says_what_became_of_a_measure_and_scores_again_for_a_new_one(older, tmp_path):
    spec = {
        "title": "E",
        "data": {"a": {"manifest": "a.csv"}},
        "sams": ["nano"],
        "models": {"bare": {"variant": "sam"}},
    }
    for name, words in (("e_max", "was replaced by maxEm"), ("e_adaptive", "is now called adpEm"), ("x", "unknown")):
        with pytest.raises(ValueError, match=f"(?s)measures.*{words}"):
            BenchmarkSpec.model_validate(spec | {"measures": ["dice", name]})
    how = Assessment(prompts=PromptSource.APM)
    known = opened(json.loads((tmp_path / "a/summary_apm.json").read_text())) | {"images": 6}
    known |= {"seed": how.seed, "tolerance": str(how.tolerance)}
    (tmp_path / "a/summary_apm.json").write_text(json.dumps(known))
    (tmp_path / "a/scores_apm.csv").open("a").write("\n")
    assert is_scored(tmp_path / "a", how, subject(**known), ["dice", "meanEm", "panoptic_quality"])
    assert not is_scored(tmp_path / "a", how, subject(**known), ["dice", "maxEm"])
