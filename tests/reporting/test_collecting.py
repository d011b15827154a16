from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.assessment.summary import TestLooks
from promise_seg.checkpoint import save_checkpoint
from promise_seg.learning.training import TrainingRun
from promise_seg.reporting.collecting import collect, name_of, worst_results
from promise_seg.reporting.options import ReportOptions
from promise_seg.trust.calibrating import calibrate
from promise_seg.trust.trust_file import save_trust
from promise_seg.vocabulary import PromptSource
from tests.helpers import first_settings, make_model

pytestmark = pytest.mark.slow  # each command or training takes a second or more


@pytest.fixture
def model(tiny_sam):
    return make_model(tiny_sam).eval()


@pytest.fixture
def options(model, manifest, tmp_path):
    save_checkpoint(model, tmp_path / "run")
    sources = (PromptSource.APM, PromptSource.ORACLE)
    return ReportOptions(run=str(tmp_path / "run"), data=str(manifest), output="out", prompts=sources, worst=2, seed=3)


def test_evaluations_are_those_of_evaluate(model, checked, options, store):
    rows = checked[-4:]
    found = collect(model, rows, replace(options, budget=False), store=store)
    for number, source in enumerate(options.prompts):
        results = evaluate(model, rows, Assessment(prompts=source, seed=3), store=store)
        mean = sum(one.scores.dice for one in results) / len(results)
        assert found.report.evaluations[number].mean["dice"] == pytest.approx(mean, abs=1e-6)
    assert [one.name for one in found.report.evaluations] == [source.heading for source in options.prompts]
    assert found.report.budget == ()
    assert found.report.evaluations[0].trust is None


def test_the_worst_of_the_main_evaluation_come_first(model, checked, options, store):
    found = collect(model, checked, replace(options, budget=False), store=store)
    results = evaluate(model, checked, Assessment(prompts=PromptSource.APM, seed=3), store=store)
    lowest = sorted(one.scores.dice for one in results)[:2]
    assert [one.dice for one in found.report.worst] == pytest.approx(lowest, abs=1e-6)
    assert all(one.image.startswith("images/") for one in found.report.worst)
    assert [one.scores.dice for one in found.worst] == lowest
    assert len(worst_results(results, 99)) == len(results)


def test_a_calibrated_model_is_judged(model, checked, options, store):
    save_trust(calibrate(model, checked[:6], checked[6:8], store), Path(options.run))
    found = collect(model, checked[-4:], replace(options, budget=False), store=store)
    own, oracle = found.report.evaluations
    assert own.trust is not None
    assert own.trust.images == 4
    assert oracle.trust is None
    assert all(one.trust is not None for one in found.report.worst)


def test_the_budget_and_progress(model, checked, options, store):
    told = Counter()
    found = collect(
        model,
        checked[-2:],
        options,
        store=store,
        progress=lambda stage, done, total, note="": told.update({stage: done > 0}),
    )
    assert {one.prompts for one in found.report.budget} >= {"own prompts", "oracle box", "no prompts"}
    assert told == {
        "own prompts (automatic)": 2, "oracle points (from the ground truth)": 2, "prompt error budget": 2
    }  # fmt: skip


def test_a_look_is_noted_once_and_said_of_every_evaluation(model, checked, options, store):
    noted = []

    def note(facts):
        noted.append(facts)
        return TestLooks(this_model=1, other_models=3, note="looked at")

    found = collect(model, checked[-2:], replace(options, budget=False), store=store, note_look=note)
    (facts,) = noted
    assert facts["prompts"] == "report: apm, oracle"
    assert all(one.test_looks is not None and one.test_looks.other_models == 3 for one in found.report.evaluations)


def test_curves_and_training_are_read_from_the_run(tiny_sam, checked, options, store, accelerator, tmp_path):
    settings = first_settings(epochs=2, batch_size=3, views=1)
    run = TrainingRun(tmp_path / "trained", checked, tiny_sam, store, settings, accelerator)
    model = run.run()
    found = collect(model, checked[-2:], replace(options, run=str(tmp_path / "trained"), budget=False), store=store)
    assert [epoch.epoch for epoch in found.report.curves] == [1, 2]
    training = found.report.card.training
    assert training is not None
    assert training.environment is not None


def test_names_count_from_the_manifest(checked, manifest):
    row = checked[0]
    assert name_of(row, str(manifest)) == "images/0.png"
    assert name_of(replace(row, is_slice=True, index=4), str(manifest)) == "images/0.png#4"
    assert name_of(row, "elsewhere/my.csv") == row.row.image.as_posix()
