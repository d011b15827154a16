import importlib.util
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from promise_seg.assessment.budget import PromptScores
from promise_seg.assessment.evaluation import Assessment
from promise_seg.assessment.evaluation import evaluate as score
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import ManifestError, PromiseError, SettingsError
from promise_seg.vocabulary import PromptSource, Protocol
from promise_seg.workflows.budget import budget
from promise_seg.workflows.by_class import ByClass
from promise_seg.workflows.comparing import compare
from promise_seg.workflows.evaluation import evaluate
from promise_seg.workflows.evaluation_result import Evaluation
from promise_seg.workflows.model_ref import ModelPart
from promise_seg.workflows.models import load
from tests.helpers import strict_json


def test_scores_are_those_of_assessment_and_nothing_is_written(place, capsys):
    model = load(place / "apm", device="cpu")
    data = Dataset.from_csv(place / "data/manifest.csv", like=model.reading)
    told = []
    found = evaluate(model, data, split="val", store=place / "store", progress=lambda *facts: told.append(facts[:3]))
    assert isinstance(found, Evaluation)
    scored = score(model.model, data.val, Assessment(prompts=PromptSource.APM))
    assert found.mean["dice"] == pytest.approx(np.mean([one.scores.dice for one in scored]), abs=1e-6)
    assert told[-1][0] == "judging"
    assert ("evaluating", 2, 2) in told
    assert all(one.trust is not None for one in found.results)
    assert found.summary.trust_calibrated_on_these_rows
    assert any("trust was calibrated on the val rows" in note for note in found.notes)
    why = "all images have the same trust score: in its calibration, at least 8 val images are needed, and there are "
    assert any(note.startswith(why) for note in found.notes)
    assert found.files == ()
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_run_whose_note_of_its_images_is_gone_says_so(place, tmp_path):
    shutil.copytree(place / "apm", tmp_path / "run")
    facts = {"split": "val", "store": place / "store", "device": "cpu"}
    found = evaluate(tmp_path / "run", place / "data/manifest.csv", **facts)
    assert not any("training_images" in note for note in found.notes)
    (tmp_path / "run/training_images.json").unlink()
    found = evaluate(tmp_path / "run", place / "data/manifest.csv", **facts)
    assert any("training_images.json: is missing" in note and "not known" in note for note in found.notes)
    assert found.summary.seen_in_training is None


def test_a_manifest_and_a_name_are_enough(place):
    found = evaluate(place / "apm", place / "data/manifest.csv", output=place / "out", device="cpu")
    assert found.summary.split == "test"
    assert [path.name for path in found.files] == ["scores_apm.csv", "summary_apm.json"]
    summary = strict_json(found.files[1])
    assert summary["model"] == str(place / "apm")
    assert summary["test_looks"]["this_model"] == 1
    again = evaluate(place / "apm", place / "data/manifest.csv", device="cpu")
    assert again.summary.test_looks.this_model == 2  # a look in Python is one too
    assert again.mean == found.mean


def test_segmenting_images_judged_empty_is_recorded_and_counts_as_another_model(place, tmp_path):
    model = load(place / "apm", device="cpu")
    for always in (False, True):  # without a judgement, the option changes nothing
        model.model.always_segments = always
        found = evaluate(model, place / "data/manifest.csv", output=tmp_path / "out")
        assert "always_segment" not in strict_json(tmp_path / "out/summary_apm.json")
        assert found.summary.test_looks.other_models == 0
    model.model.config = model.model.config.model_copy(update={"presence_threshold": 0.5})
    for always, others in ((False, 2), (True, 3)):
        model.model.always_segments = always
        found = evaluate(model, place / "data/manifest.csv", output=tmp_path / "out")
        assert strict_json(tmp_path / "out/summary_apm.json").get("always_segment", False) == always
        assert found.summary.test_looks.other_models == others
        oracle = evaluate(model, place / "data/manifest.csv", prompts="oracle")
        assert oracle.summary.always_segment is None
    assert any("--slices or --always-segment differed" in note for note in found.notes)


@pytest.mark.parametrize("always", [False, True])
def test_trust_of_images_judged_empty_is_said_to_be_of_other_masks(place, monkeypatch, always):
    model = load(place / "apm", device="cpu")
    trust = model.part.find_trust(model.model)
    monkeypatch.setattr(ModelPart, "find_trust", lambda _part, _model: trust)
    model.model.config = model.model.config.model_copy(update={"presence_threshold": 0.5})
    model.model.always_segments = always
    found = evaluate(model, place / "data/manifest.csv")
    assert all(one.trust is not None for one in found.results)
    assert any("With --always-segment such images" in note for note in found.notes) == always


def test_rows_for_tables(place):
    found = evaluate(place / "apm", place / "data/manifest.csv", device="cpu")
    rows = found.records()
    assert [row["split"] for row in rows] == ["test", "test"]
    assert {"image", "group", "dice", "hd95", "predicted_iou", "trust", "nothing_here"} <= set(rows[0])
    assert repr(found).startswith("Evaluation(")
    assert f"Dice {found.mean['dice']:.4f}" in repr(found)
    page = found._repr_html_()
    assert "<td>dice</td>" in page
    assert "<caption>" in page


def test_a_table_needs_pandas(place, monkeypatch):
    found = evaluate(place / "apm", place / "data/manifest.csv", device="cpu")
    if importlib.util.find_spec("pandas"):
        assert list(found.to_pandas()["image"]) == [row["image"] for row in found.records()]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SettingsError, match="pip install pandas"):
        found.to_pandas()


class Table(list):
    """As much of a table of pandas as is asked of it: a list of rows."""

    from_records = classmethod(lambda cls, rows: cls(rows))

    def assign(self, **columns):
        return Table(row | columns for row in self)


@pytest.fixture
def stand_in_for_pandas(monkeypatch):
    def concat(tables, *, ignore_index):
        assert ignore_index
        return Table(row for table in tables for row in table)

    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=Table, concat=concat))


@pytest.mark.usefixtures("stand_in_for_pandas")
def test_a_table_has_the_rows_of_records(place):
    data = place / "data/manifest.csv"
    first, second = (evaluate(place / name, data, output=place / name, prompts="box", device="cpu")
                     for name in ("apm", "ips"))  # fmt: skip
    assert first.to_pandas() == first.records()
    compared = compare([first, second])
    assert compared.to_pandas() == compared.records() != []


@pytest.mark.usefixtures("stand_in_for_pandas")
def test_a_table_of_a_set_names_the_class_of_each_row(place):
    found = evaluate(place / "set", place / "classes/manifest.csv", device="cpu")
    expected = [row | {"class": label} for label in (1, 3) for row in found[label].records()]
    assert found.to_pandas() == expected != []


def test_a_set_is_scored_class_by_class(place):
    found = evaluate(place / "set", place / "classes/manifest.csv", output=place / "out", device="cpu")
    assert isinstance(found, ByClass)
    assert list(found) == [1, 3]
    assert found[3].files[0] == place / "out/class-3/scores_apm.csv"
    assert found[1].summary.reading["label"] == 1
    alone = evaluate(place / "set/class-3", place / "classes/manifest.csv", device="cpu")
    assert alone.mean == found[3].mean
    assert "class 3: Evaluation(" in repr(found)
    assert "<h4>class 1</h4>" in found._repr_html_()
    single = Dataset.from_csv(place / "classes/manifest.csv", classes=3)
    with pytest.raises(SettingsError, match="has a model for each class"):
        evaluate(place / "set", single, device="cpu")


@pytest.mark.parametrize("prompts", ["apm", "box", "none"])
def test_a_number_of_oracle_points_needs_oracle_points(place, prompts):
    """It was once ignored without a word."""
    with pytest.raises(
        SettingsError, match=rf"^--points 50: .*--prompts {prompts} has none\. .* give --prompts oracle$"
    ):
        evaluate(place / "apm", place / "manifest.csv", prompts=prompts, points=50, device="cpu")


@pytest.mark.parametrize("prompts", ["oracle", "box", "none"])
def test_slices_cannot_agree_on_given_prompts(place, prompts):
    with pytest.raises(SettingsError, match=rf"^--slices agree: .* with --prompts {prompts}, each slice is scored"):
        evaluate(place / "apm", place / "manifest.csv", prompts=prompts, slices="agree", device="cpu")


def test_the_reference_protocol_scores_each_slice_by_itself(place):
    """Slices to blend were once ignored without a word."""
    with pytest.raises(SettingsError, match=r"^--slices blend: .* with --protocol reference, each slice is scored"):
        evaluate(place / "apm", place / "manifest.csv", protocol="reference", slices="blend", device="cpu")


def test_slices_to_combine_are_noted_if_there_are_none(place):
    found = evaluate(place / "apm", place / "data/manifest.csv", slices="blend", device="cpu")
    assert "--slices blend: had no effect, because none of the images is a slice of a volume" in found.notes
    usual = evaluate(place / "apm", place / "data/manifest.csv", device="cpu")
    assert not any("--slices" in note and "no effect" in note for note in usual.notes)


def test_one_model_of_a_set_takes_its_class_of_all(place):
    data = Dataset.from_csv(place / "classes/manifest.csv", classes="all")
    found = evaluate(place / "set/class-3", data, split="val", device="cpu")
    assert found.summary.reading["label"] == 3
    with pytest.raises(SettingsError, match="name one class"):
        evaluate(place / "apm", data, device="cpu")


def test_a_bare_sam_by_the_protocol_of_the_published_code(place):
    shared = {"sam": str(place / "sam"), "split": "all", "prompts": "oracle", "device": "cpu"}
    found = evaluate("bare", place / "data/manifest.csv", protocol="reference", **shared)
    assert found.summary.protocol == Protocol.REFERENCE
    assert found.summary.reading["crop_border"] is True
    assert found.summary.test_looks is None


@pytest.mark.parametrize(
    ("option", "words"),
    [({"prompts": "luck"}, "--prompts luck: expected apm, oracle, box, none"), ({"mask": "7"}, "--mask 7"),
     ({"split": "trial"}, "--split trial"), ({"protocol": "paper"}, "--protocol paper"),
     ({"tolerance": "2miles"}, "--tolerance"), ({"points": 10**26, "prompts": "oracle"}, "--points 1.*: expected a"),
     ({"by": ["scanner"]}, "scanner"), ({"device": "abacus"}, "--device")],
)  # fmt: skip
def test_options_that_cannot_be_meant(place, option, words):
    with pytest.raises(PromiseError, match=words):
        evaluate(place / "apm", place / "data/manifest.csv", **{"device": "cpu"} | option)


def test_no_rows_of_a_split(place):
    data = Dataset.from_csv(place / "data/manifest.csv", split="train")
    with pytest.raises(ManifestError, match="no test rows"):
        evaluate(place / "apm", data, device="cpu")


@pytest.mark.slow
def test_budgets_of_one_model_and_of_a_set(place):
    one = budget(place / "apm", place / "data/manifest.csv", output=place / "budget", device="cpu")
    assert {row["prompts"] for row in one.records()} >= {"own prompts", "oracle box", "no prompts"}
    assert json.loads((place / "budget/budget.json").read_text())["split"] == "val"
    several = budget(place / "set", place / "classes/manifest.csv", output=place / "budgets", device="cpu")
    assert list(several) == [1, 3]
    assert several[3].files[1] == place / "budgets/class-3/budget.png"
    assert several[3].files[1].exists()


@pytest.mark.slow
def test_evaluations_are_compared_by_themselves_or_by_their_files(place):
    data = place / "data/manifest.csv"
    own = evaluate(place / "apm", data, output=place / "own", split="all", device="cpu")
    oracle = evaluate(place / "apm", data, output=place / "oracle", split="all", prompts="oracle", device="cpu")
    found = compare([own, place / "oracle"], measure=["dice"], output=place / "compared.json")
    (pair,) = found.pairs
    assert pair.second_mean - pair.first_mean == pytest.approx(oracle.mean["dice"] - own.mean["dice"], abs=1e-5)
    assert any("others not" in note for note in found.notes)
    assert strict_json(place / "compared.json") == json.loads(json.dumps(found.records()))
    unwritten = evaluate(place / "apm", data, split="val", device="cpu")
    with pytest.raises(SettingsError, match="was not written"):
        compare([unwritten, place / "oracle"])


def test_scores_of_another_evaluation_than_their_summary_are_refused(place):
    data = place / "data/manifest.csv"
    for name, split in (("one", "test"), ("same", "test"), ("other", "val")):
        evaluate(place / "apm", data, split=split, output=place / name, device="cpu")
    compare([place / "one", place / "same"])
    (place / "one/scores_apm.csv").write_bytes((place / "other/scores_apm.csv").read_bytes())
    with pytest.raises(SettingsError, match=r"scores_apm\.csv: does not match summary_apm\.json"):
        compare([place / "one", place / "same"])


def test_a_budget_notes_own_prompts_that_change_nothing(place, monkeypatch, tmp_path):
    dice = np.full((1, 2), 0.5)
    others = [PromptScores(f"oracle points, {n}", True, dice) for n in (1, 2, 4)]
    found = [PromptScores("own prompts", False, dice, prompts_used=False), *others]
    monkeypatch.setattr("promise_seg.workflows.budget.prompt_budget", lambda *_, **__: found)
    made = budget(place / "apm", place / "data/manifest.csv", output=tmp_path / "out", device="cpu")
    assert any(note.startswith("note: the mask for the model's own prompts") for note in made.notes)
    assert not json.loads((tmp_path / "out/budget.json").read_text())["budget"][0]["prompts_used"]
