"""What is finished stays, and what no longer holds is made anew."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from accelerate import Accelerator
from PIL import Image

from promise_seg.assessment.summary import Stratum
from promise_seg.benchmarking.cells import cells_of
from promise_seg.benchmarking.page import _sizes
from promise_seg.benchmarking.results import found_in, pairs_of
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.spec import read_spec
from promise_seg.benchmarking.writing import write_all
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.storage.sealed import opened
from promise_seg.storage.tensor_files import read_metadata
from tests.benchmarking.small import benchmark_of, run


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"apm": "pretrained"}, (60, 3)),
        ({"apm": "pretrained", "epochs": 5}, (5, 1)),
        ({"apm": "pretrained", "val_interval": 7}, (60, 7)),
        ({"apm": "heatmap"}, (40, 1)),
    ],
)
def test_runs_last_as_long_as_promise_train_would_choose(place, training, expected):
    """Unless the spec says how long: the four train rows are gone through as often as is allowed."""
    benchmark = benchmark_of(place, training=training, models={"apm": {"variant": "apm"}})
    settings = benchmark.settings(benchmark.cells()[0])
    assert (settings.epochs, settings.val_interval) == expected


@pytest.mark.slow
def test_nothing_is_done_again_without_a_reason(place):
    _, before = run(place)
    _, after = run(place)
    assert before == after
    assert len(before) == 4


def change_groups(place):
    path = place / "discs/manifest.csv"
    path.write_text(path.read_text().replace(",g4", ",g3"))


def change_a_mask(place):
    path = place / "discs/masks/9.png"
    mask = np.asarray(Image.open(path)).copy()
    mask[0, 0] = 255
    Image.fromarray(mask).save(path)


def damage_summaries(place):
    for path in (place / "out").rglob("summary_*.json"):
        path.write_text("[")


def empty_scores(place):
    for path in (place / "out").rglob("scores_*.csv"):
        path.write_text("image\n")


def other_columns(place):
    for path in (place / "out").rglob("scores_*.csv"):
        path.write_text(path.read_text().replace("image_sha256", "hash"))


@pytest.mark.parametrize(
    "change",
    [
        change_a_mask,
        damage_summaries,
        pytest.param(change_groups, marks=pytest.mark.slow),
        pytest.param(empty_scores, marks=pytest.mark.slow),
        pytest.param(other_columns, marks=pytest.mark.slow),
    ],
)
def test_scores_of_other_rows_or_that_are_damaged_are_made_anew(place, change):
    _, before = run(place)
    change(place)
    benchmark, after = run(place)
    assert set(after) == set(before)
    assert all(after[name] > before[name] for name in before)
    lost = [line for line in benchmark.notes if "lost or damaged" in line]
    assert len(lost) == (0 if change in (change_groups, change_a_mask) else len(before))
    groups = {len(set(one.groups.values())) for one in found_in(benchmark)}
    assert groups == ({1} if change == change_groups else {2})


@pytest.mark.slow
def test_other_oracle_points_touch_oracle_scores_alone(place):
    _, before = run(place)
    _, after = run(place, oracle_points=4)
    changed = {name.split("/")[-1] for name in before if after[name] > before[name]}
    assert changed == {"summary_oracle.json"}
    assert all(after[name] > before[name] for name in before if "oracle" in name)


@pytest.mark.slow
def test_post_processing_of_one_model_touches_its_scores_alone(place):
    _, before = run(place)
    path = place / "out/discs/sam/apm/seed-0/best/config.json"
    config = opened(json.loads(path.read_text()))
    config["postprocessing"]["threshold"] = 0.4
    path.write_text(json.dumps(config))
    _, after = run(place)
    assert {name.split("/")[2] for name in before if after[name] > before[name]} == {"apm"}


@pytest.mark.slow
def test_models_with_own_points_are_calibrated(place):
    run(place)
    assert (place / "out/discs/sam/apm/seed-0/best/trust.safetensors").exists()


@pytest.mark.slow
def test_a_unet_gets_the_time_of_another_whatever_the_store_has_already(place):
    models = {"apm": {"variant": "apm"}, "U-Net": {"variant": "unet", "budget_of": "apm"}}
    budgets = []
    for name in ("cold", "warm"):
        benchmark, _ = run(place, models=models)
        unet = place / "out/discs/sam/U-Net/seed-0"
        facts = json.loads(read_metadata(unet / "state.safetensors")["state"])["facts"]
        log = (place / "out/discs/sam/apm/seed-0/log.jsonl").read_text().splitlines()
        trained = sum(json.loads(line)["cpu_seconds"] for line in log)
        cell = next(iter(cells_of(benchmark.spec)))
        assert benchmark.views(cell) == 4 + 2
        expected = trained + 6 * benchmark.encoding_cost(cell)["cpu_seconds_per_view"]
        assert facts["budget"] == pytest.approx(expected)
        assert facts["cpu_seconds"] >= facts["budget"] > trained
        budgets.append(facts["budget"])
        (place / "out").rename(place / name)  # the store stays
    assert budgets[1] > 0


@pytest.mark.slow
def test_time_is_no_budget_off_the_cpu(place):
    models = {"apm": {"variant": "apm"}, "U-Net": {"variant": "unet", "budget_of": "apm"}}
    run(place, models=models)

    class Elsewhere:
        device = type("Device", (), {"type": "cuda"})

    with pytest.raises(SettingsError, match="budget_of counts CPU time, but this runs on cuda"):
        Benchmark(read_spec(place / "spec.yaml"), place / "o", FeatureStore(place / "store"), Elsewhere())


def test_a_sam_that_is_not_there_is_missed_at_once(place):
    with pytest.raises(Exception, match="nowhere"):
        run(place, sams=["sam", {"name": "b", "source": "nowhere"}])
    assert not (place / "out").exists()


@pytest.mark.slow
def test_a_benchmark_of_the_published_procedure_scores_its_unet_so_too(place):
    models = {"theirs": {"variant": "ips"}, "U-Net": {"variant": "unet", "epochs": 1}}
    training = {"protocol": "reference", "epochs": 1, "views": 1, "apm": "heatmap"}
    benchmark, _ = run(place, models=models, training=training)
    assert {(one.line.model.name, str(one.line.protocol)) for one in found_in(benchmark)} == {
        ("theirs", "reference"), ("U-Net", "reference"),
    }  # fmt: skip


@pytest.mark.slow
def test_no_file_holds_what_is_no_json(place):
    def refuse(word):
        raise AssertionError(word)

    benchmark, _ = run(place)
    write_all(benchmark, found_in(benchmark), [], "spec.yaml")
    for path in (place / "out").rglob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)


def test_sizes_stand_in_their_order_whatever_that_of_the_file(place):
    benchmark, _ = run(place, models={"bare": {"variant": "sam"}})
    (found,) = found_in(benchmark)
    names = ["1 to 5 %", "5 to 20 %", "no object", "over 20 %", "under 1 %"]
    parts = {name: Stratum(images=1, groups=1, dice=0.5, dice_interval=None, iou=0.4) for name in names}
    scored = replace(found.seeds[0], summary=found.seeds[0].summary.model_copy(update={"strata": {"size": parts}}))
    found = replace(found, seeds=(scored,))
    section = _sizes([found])
    assert [row[2] for row in section.blocks[0].rows] == [
        "no object", "under 1 %", "1 to 5 %", "5 to 20 %", "over 20 %",
    ]  # fmt: skip


@pytest.mark.slow
def test_only_what_this_benchmark_has_looked_at_is_found(place):
    run(place, seeds=[0, 1])
    spec = read_spec(place / "spec.yaml")
    again = Benchmark(spec, place / "out", FeatureStore(place / "store"), Accelerator(cpu=True))
    assert found_in(again) == []
    first = next(iter(cells_of(spec)))
    assert again.attempt(first)
    (found,) = found_in(again)
    assert (found.line.seeds, found.line.missing) == ((0,), (1,))
    assert found_in(again, [found])[0] is found


@pytest.mark.slow
def test_cells_with_scores_from_before_come_first(place):
    models = {"apm": {"variant": "apm"}, "U-Net": {"variant": "unet", "budget_of": "apm"}}
    benchmark, _ = run(place, models=models, seeds=[0, 1])
    shutil.rmtree(place / "out/discs/sam/apm/seed-0/test")
    assert [(cell.model.name, cell.seed) for cell in benchmark.cells()] == [
        ("apm", 1), ("U-Net", 1), ("apm", 0), ("U-Net", 0),
    ]  # fmt: skip


BASELINES = {
    "otsu": None,
    "mean-mask": None,
    "unet-early-stopping": {"epochs": 2, "patience": 1},
    "pretrained-unet": {"side": 32},
    "pretrained-unet-early-stopping": {"side": 32, "epochs": 2, "patience": 1},
}


@pytest.mark.slow
def test_baselines_are_lines_of_the_same_table_and_are_finished_once(place):
    benchmark, before = run(place, baselines=BASELINES)
    found = {one.line.name: one for one in found_in(benchmark)}
    assert set(BASELINES) <= set(found)
    own = found["apm, own"]
    for name in BASELINES:
        line = found[name]
        assert line.is_comparable_to(own)
        assert set(line.values) == set(own.values) - {"predicted_iou"}
        assert set(line.groups) == set(own.groups)  # every image
        assert line.cpu_seconds > 0
    assert found["pretrained-unet"].cpu_seconds >= own.cpu_seconds  # whole epochs
    write_all(benchmark, list(found.values()), pairs_of(list(found.values()), "dice"), "spec.yaml")
    table = (place / "out/table.md").read_text()
    assert all(f"| {name} | no prompts |" in table for name in BASELINES)
    assert "| CPU seconds |" in table
    assert "unet-early-stopping after 1 epochs, with 2 at most" in (place / "out/report.html").read_text()
    lines = {line["model"]: line for line in json.loads((place / "out/benchmark.json").read_text())["lines"]}
    assert lines["pretrained-unet"]["parameters"] > 3e6
    assert (lines["otsu"]["parameters"], lines["mean-mask"]["parameters"]) == (0, 0)
    assert lines["apm"]["cpu_seconds_with_encoding"] > lines["apm"]["cpu_seconds"]
    weights = {path: path.stat().st_mtime_ns for path in (place / "out").rglob("*.safetensors")}
    _, after = run(place, rivals=BASELINES)  # the key of earlier versions, whose folders are resumed
    assert before == after
    assert weights == {path: path.stat().st_mtime_ns for path in weights}


@pytest.mark.slow
def test_baselines_that_are_added_later_leave_all_else_as_it_is(place):
    _, before = run(place)
    _, after = run(place, baselines=["otsu", "mean-mask"])
    assert {name.split("/")[2] for name in set(after) - set(before)} == {"otsu", "mean-mask"}
    assert before.items() <= after.items()


def test_scores_of_a_rule_are_made_anew_for_other_images_alone(place):
    run(place, models={"bare": {"variant": "sam"}}, baselines=["otsu"])
    rule = place / "out/discs/sam/otsu/seed-0/rule.safetensors"
    fitted = rule.stat().st_mtime_ns
    change_a_mask(place)  # of a test row
    _, again = run(place, models={"bare": {"variant": "sam"}}, baselines=["otsu"])
    assert rule.stat().st_mtime_ns == fitted
    (summary,) = [name for name in again if "otsu" in name]
    assert (place / "out" / summary).stat().st_mtime_ns > fitted


def test_weights_that_are_not_on_this_machine_are_missed_at_once(place, monkeypatch):
    def nowhere():
        raise SettingsError("not on this machine")

    monkeypatch.setattr("promise_seg.benchmarking.running.load_backbone", nowhere)
    run(place, models={"bare": {"variant": "sam"}}, baselines=["otsu"])
    with pytest.raises(SettingsError, match="not on this machine"):
        run(place, models={"bare": {"variant": "sam"}}, baselines={"pretrained-unet": {"epochs": 1}})
