import json
import shutil

import pytest
from pydantic import ValidationError

from promise_seg.assessment.comparing import compare, read_scored
from promise_seg.assessment.summary import EvaluationSummary, SeenInTraining, TestLooks, read_summary
from promise_seg.benchmarking.scoring import cell_of
from promise_seg.errors import SettingsError
from promise_seg.reporting.document import ReportedEvaluation
from tests.assessment.samples import STORED, stored, subject, summary

ALL = sorted(path.stem for path in STORED.glob("*.json"))


def shape_of(content):
    """Keys, with the kinds of values; of a list its first entry."""
    if isinstance(content, dict):
        return {key: shape_of(value) for key, value in content.items()}
    if isinstance(content, list):
        return [shape_of(value) for value in content[:1]]
    return type(content)


@pytest.mark.parametrize("name", ALL)
def test_a_summary_that_is_read_and_written_again_is_the_same_to_the_last_value(name):
    read = read_summary(STORED / f"{name}.json")
    assert read.as_json() == stored(name)
    assert shape_of(read.as_json()) == shape_of(stored(name))
    assert read.model_extra == {} or name.startswith("benchmark")


@pytest.mark.parametrize("name", [name for name in ALL if not name.endswith("unet")])
def test_a_report_says_all_that_a_summary_says_and_null_of_the_rest(name):
    written = json.loads(ReportedEvaluation.of(read_summary(STORED / f"{name}.json")).model_dump_json())
    if written["test_looks"] is not None:
        assert written["test_looks"].pop("damage_note") is None  # the files are older than that
    assert {key: written[key] for key in stored(name)} == stored(name)
    assert {key: value for key, value in written.items() if key not in stored(name) and key != "name"} == {
        key: False if key == "trust_calibrated_on_these_rows" else None
        for key in EvaluationSummary.model_fields
        if key not in stored(name)
    }
    assert written["name"] == stored(name)["prompts_meaning"]


def test_what_benchmarks_add_has_a_type_too():
    cell = cell_of(read_summary(STORED / "benchmark.json"))
    assert (cell.trained_on, len(cell.sam_sha256), len(cell.code_sha256)) == ("discs", 64, 64)
    unet = cell_of(read_summary(STORED / "benchmark_unet.json"))
    assert (unet.mask_choice, unet.postprocessing) == (None, None)


def test_what_is_not_said_is_not_written():
    assert "mask_choice" not in subject().as_json()
    alone = EvaluationSummary.model_validate({k: v for k, v in stored("own_points").items() if k != "test_looks"})
    assert "test_looks" not in alone.with_notes().as_json()
    looks = TestLooks(this_model=1, other_models=0, looked_at=0, beside=0, note=None, beside_note=None)
    seen = SeenInTraining(trained_on=2, chosen_on=0, note="known")
    noted = alone.with_notes(test_looks=looks, seen_in_training=seen)
    assert noted.as_json()["test_looks"] == stored("own_points")["test_looks"]
    assert noted.as_json()["seen_in_training"] == {"trained_on": 2, "chosen_on": 0, "note": "known"}
    assert "test_looks" not in alone.as_json()


def test_trust_is_added_with_whether_it_is_flattering():
    plain = summary()
    quality = plain.trust.model_copy(update={"images": 3})
    found = plain.with_trust(quality, calibrated_on_these_rows=True)
    assert (found.trust.images, found.trust_calibrated_on_these_rows) == (3, True)
    assert found.as_json()["trust"]["images"] == 3


def test_a_summary_is_not_changed_by_accident():
    with pytest.raises(ValidationError, match="frozen"):
        summary().images = 3


def test_what_another_version_adds_is_kept_and_what_is_missing_is_named(tmp_path):
    path = tmp_path / "summary_apm.json"
    path.write_text(json.dumps(stored("own_points") | {"new": 1}))
    assert read_summary(path).as_json()["new"] == 1
    path.write_text(json.dumps({k: v for k, v in stored("own_points").items() if k != "mean"} | {"images": "many"}))
    with pytest.raises(
        SettingsError, match=r"summary_apm\.json: not a summary .*: images: .*; mean: is needed, but missing"
    ):
        read_summary(path)
    path.write_text("[]")
    with pytest.raises(SettingsError, match="cannot be read: it holds list, expected an object"):
        read_summary(path)


def test_evaluations_from_before_a_measure_was_there_are_read_and_compared(tmp_path):
    """Frozen results lack what was added since: it is missed only where it is asked for."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        shutil.copy(STORED / "own_points.json", tmp_path / name / "summary_apm.json")
    head = "image,split,group,image_sha256,truth_sha256,prompts,dice"
    lines = [f"{n}.png,test,g{n},s{n},t{n},apm,0.{n}" for n in range(1, 6)]
    (tmp_path / "old/scores_apm.csv").write_text("\n".join([head, *lines]))
    (tmp_path / "new/scores_apm.csv").write_text("\n".join([f"{head},assd", *(f"{line},3" for line in lines)]))
    runs = [read_scored(tmp_path / name) for name in ("old", "new")]
    assert compare(runs, ["dice"])[0].difference.interval.mean == 0
    with pytest.raises(SettingsError, match=r"old.*does not have assd for every image; expected one of dice"):
        compare(runs, ["assd"])
