import csv
import json

import pytest

from promise_seg.assessment.evaluation import Assessment, PromptSource, evaluate
from promise_seg.assessment.report import summarise, write_results
from tests.helpers import make_model


@pytest.mark.parametrize("source", [PromptSource.APM, PromptSource.ORACLE])
def test_files_say_where_prompts_came_from(tiny_sam, checked, tmp_path, source):
    assessment = Assessment(prompts=source)
    results = evaluate(make_model(tiny_sam), checked, assessment)
    table, means = write_results(tmp_path, results, summarise(results, assessment, {"split": "all"}))
    assert source.value in table.name
    assert source.value in means.name
    lines = list(csv.DictReader(table.open()))
    assert {line["prompts"] for line in lines} == {source.value}
    summary = json.loads(means.read_text())
    assert summary["prompts_read_the_ground_truth"] == (source == PromptSource.ORACLE)
    assert summary["images"] == 10
    mean = sum(float(line["dice"]) for line in lines) / 10
    assert summary["mean"]["dice"] == pytest.approx(mean, abs=1e-5)
