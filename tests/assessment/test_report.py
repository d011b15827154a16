import csv
import json
from dataclasses import replace

import pytest

from promise_seg.assessment.comparing import read_scored
from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.assessment.measures import MEASURE_NAMES
from promise_seg.assessment.report import summarise, write_results
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import SettingsError
from promise_seg.images.reading import make_reading
from promise_seg.vocabulary import PromptSource
from tests.assessment.samples import stored, subject
from tests.helpers import make_model, no_numbers, strict_json


@pytest.mark.parametrize("source", [PromptSource.APM, PromptSource.ORACLE])
def test_files_say_where_prompts_came_from(tiny_sam, checked, tmp_path, source):
    assessment = Assessment(prompts=source)
    results = evaluate(make_model(tiny_sam), checked, assessment)
    table, means = write_results(tmp_path, results, summarise(results, assessment, subject()))
    assert source.value in table.name
    assert source.value in means.name
    lines = list(csv.DictReader(table.open()))
    assert {line["prompts"] for line in lines} == {source.value}
    summary = json.loads(means.read_text())
    assert summary["prompts_read_the_ground_truth"] == (source == PromptSource.ORACLE)
    assert summary["images"] == 10
    mean = sum(float(line["dice"]) for line in lines) / 10
    assert summary["mean"]["dice"] == pytest.approx(mean, abs=1e-5)


def test_these_are_all_measures_of_an_instance_map(tiny_sam, manifest):
    rows = check_rows(read_manifest(manifest), make_reading(instances=True))[:2]
    assessment = Assessment(prompts=PromptSource.ORACLE)
    summary = summarise(evaluate(make_model(tiny_sam), rows, assessment), assessment, subject())
    assert tuple(summary.mean) == MEASURE_NAMES
    assert set(summary.thresholds) == {"maxEm", "maxFm"}
    added_by_commands = {"test_looks", "seen_in_training", "mask_choice", "postprocessing"}
    assert set(summary.as_json()) == set(stored("instances")) - added_by_commands | {"thresholds"}


def test_an_iou_that_was_not_predicted_is_left_out(tiny_sam, checked, tmp_path):
    assessment = Assessment(prompts=PromptSource.NONE)
    results = evaluate(make_model(tiny_sam), checked, assessment)
    results[0] = replace(results[0], predicted_iou=float("nan"))
    table, means = write_results(tmp_path, results, summarise(results, assessment, subject()))
    first, second, *_ = csv.DictReader(table.open())
    assert first["predicted_iou"] == ""
    assert float(second["predicted_iou"]) == pytest.approx(results[1].predicted_iou, abs=1e-6)
    assert strict_json(means)["images"] == 10
    assert "predicted_iou" not in read_scored(table).images[checked[0].image_sha256]


def test_a_model_whose_training_diverged_is_not_scored(tiny_sam, checked):
    model = no_numbers(make_model(tiny_sam))
    with pytest.raises(SettingsError, match=r"0\.png: .* NaN or infinite logits: its training diverged"):
        evaluate(model, checked, Assessment(prompts=PromptSource.APM))
