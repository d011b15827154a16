"""What is finished stays, and what no longer holds is made anew."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from accelerate import Accelerator
from PIL import Image

from promise_seg.assessment.summary import Stratum
from promise_seg.benchmarking.cells import cells_of
from promise_seg.benchmarking.page import _sizes
from promise_seg.benchmarking.results import found_in, pairs_of
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.spec import read_spec
from promise_seg.benchmarking.writing import write_all
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.storage.sealed import opened
from promise_seg.storage.tensor_files import read_metadata
from promise_seg.vocabulary import Split
from tests.files import write_dicom
from tests.helpers import make_tiny_sam, write_dataset

MODELS = {"bare": {"variant": "sam"}, "apm": {"variant": "apm"}, "U-Net": {"variant": "unet", "epochs": 1}}


@pytest.fixture
def place(tmp_path):
    """A folder with data and a SAM of its own, which a test may change."""
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    write_dataset(tmp_path / "discs", ("train",) * 4 + ("val",) * 2 + ("test",) * 4)
    return tmp_path


def benchmark_of(place, **changes):
    """A small benchmark that has not run, whose notes are kept."""
    spec = {
        "title": "t", "data": {"discs": {"manifest": "discs/manifest.csv"}}, "sams": ["sam"], "models": MODELS,
        "seeds": [0], "training": {"epochs": 1, "views": 1},
    }  # fmt: skip
    (place / "spec.yaml").write_text(yaml.safe_dump(spec | changes, sort_keys=False))
    notes = []
    benchmark = Benchmark(
        read_spec(place / "spec.yaml"), place / "out", FeatureStore(place / "store"), Accelerator(cpu=True),
        note=notes.append,
    )  # fmt: skip
    benchmark.notes = notes
    return benchmark


def run(place, **changes):
    """Run a small benchmark; returns it and what it wrote, by path, with the time of each."""
    benchmark = benchmark_of(place, **changes)
    for cell in cells_of(benchmark.spec):
        benchmark.run(cell)
    files = {str(p.relative_to(place / "out")): p.stat().st_mtime_ns for p in (place / "out").rglob("summary_*.json")}
    return benchmark, files


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


def test_test_images_that_were_learned_from_are_refused(place):
    others = write_dataset(place / "others", ("test",) * 2, first=5)  # the first is a val image of discs
    data = {
        "discs": {"manifest": "discs/manifest.csv", "tests": ["discs", "others"]},
        "others": {"manifest": str(others), "train": False},
    }
    with pytest.raises(ManifestError, match=r"others/manifest\.csv:2: the test image .* is a val row of discs"):
        run(place, data=data)
    assert not (place / "out").exists()


def test_groups_that_data_sets_share_are_noted(place):
    """For example, slides of one patient in the data sets of two hospitals."""
    others = write_dataset(place / "others", ("test",) * 4, first=50)
    others.write_text(re.sub(r",g\d+", ",p", others.read_text()).replace(",p\n", ",g0\n", 1))
    data = {
        "discs": {"manifest": "discs/manifest.csv", "tests": ["discs", "others"]},
        "others": {"manifest": str(others), "train": False},
    }
    assert benchmark_of(place, data=data).notes == [
        "discs: 1 group(s) of its train and val rows are also in the test set others, for example 'g0'; if they are "
        "the same patients or videos, its scores there are too optimistic"
    ]
    others.write_text(others.read_text().replace(",g0", ",other"))
    assert benchmark_of(place, data=data).notes == []


def test_patients_of_dicom_files_are_groups_of_a_benchmark(place):
    lines = ["image_name,train_type,mask_name"]
    for patient in range(4):
        for number in range(2):
            name = f"p{patient}-{number}"
            pixels = np.random.default_rng(2 * patient + number).integers(0, 400, (12, 10)).astype(np.uint16)
            write_dicom(place / f"{name}.dcm", pixels, PatientID=f"P{patient}")
            Image.fromarray(np.eye(12, 10, dtype=np.uint8) * 255).save(place / f"{name}.png")
            lines.append(f"{name}.dcm,{'train' if patient < 3 else 'test'},{name}.png")
    (place / "scans.csv").write_text("\n".join(lines))
    benchmark = benchmark_of(place, data={"scans": {"manifest": "scans.csv"}})
    rows = benchmark.data.manifests["scans"]
    groups = {split: {row.group for row in rows if row.split == split} for split in Split}
    assert [len(groups[split]) for split in Split] == [2, 1, 1]
    assert not groups[Split.TRAIN] & groups[Split.VAL]
    (note,) = benchmark.notes
    assert note.endswith("that their DICOM files name (8 rows in 4 groups)")


def test_groups_on_both_sides_are_said(place):
    path = place / "discs/manifest.csv"
    path.write_text(path.read_text().replace(",g4", ",g0"))
    benchmark, _ = run(place, models={"bare": {"variant": "sam"}})
    assert "discs: 1 group(s) have rows in train and in another split" in benchmark.notes[0]


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
def test_lines_of_several_data_sams_and_protocols_stand_apart(place):
    write_dataset(place / "more", ("train",) * 4 + ("val",) * 2 + ("test",) * 2, first=50)
    shutil.copytree(place / "sam", place / "twin")
    data = {"discs": {"manifest": "discs/manifest.csv"}, "more": {"manifest": "more/manifest.csv"}}
    models = {
        "ours": {"variant": "ips"},
        "theirs": {"variant": "ips", "training": {"protocol": "reference", "epochs": 1}},
        "U-Net": {"variant": "unet", "epochs": 1},
    }
    benchmark, _ = run(place, data=data, sams=["sam", "twin"], models=models)
    found = found_in(benchmark)
    assert len(found) == 2 * 2 * 3
    assert {one.line.protocol for one in found} == {"own", "reference"}
    assert pairs_of(found, "dice") == []  # oracle against none, ours against theirs: nothing is alike
    write_all(benchmark, found, [], "spec.yaml")
    page = (place / "out/report.html").read_text()
    sizes = page.split("Mean Dice by object size")[1]
    for head in ("trained on", "SAM", "protocol", "tested on"):
        assert head in sizes.split("</thead>")[0]


@pytest.mark.slow
def test_a_benchmark_of_the_published_procedure_scores_its_unet_so_too(place):
    models = {"theirs": {"variant": "ips"}, "U-Net": {"variant": "unet", "epochs": 1}}
    training = {"protocol": "reference", "epochs": 1, "views": 1, "apm": "heatmap"}
    benchmark, _ = run(place, models=models, training=training)
    assert {(one.line.model.name, str(one.line.protocol)) for one in found_in(benchmark)} == {
        ("theirs", "reference"), ("U-Net", "reference"),
    }  # fmt: skip


def test_instance_maps_give_the_dice_of_objects(place):
    for path in (place / "discs/masks").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8) * 3).save(path)
    data = {"discs": {"manifest": "discs/manifest.csv", "instances": True}}
    benchmark, _ = run(place, data=data, models={"bare": {"variant": "sam"}, "U-Net": MODELS["U-Net"]},
                       measures=["dice", "average_precision"])  # fmt: skip
    bare, unet = found_in(benchmark)
    assert bare.object_dice() is not None
    assert unet.object_dice() is None
    assert "average_precision" in unet.values


def test_an_image_that_stands_in_two_rows_counts_twice(place):
    path = place / "discs/manifest.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1].replace("masks/9", "masks/8")]))
    benchmark, _ = run(place, models={"bare": {"variant": "sam"}})
    (found,) = found_in(benchmark)
    assert len(found.groups) == 5
    assert found.interval("dice").mean == pytest.approx(found.seed_means("dice")[0], abs=1e-6)


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


RIVALS = {
    "otsu": None,
    "mean-mask": None,
    "unet-early-stopping": {"epochs": 2, "patience": 1},
    "pretrained-unet": {"side": 32},
    "pretrained-unet-early-stopping": {"side": 32, "epochs": 2, "patience": 1},
}


@pytest.mark.slow
def test_rivals_are_lines_of_the_same_table_and_are_finished_once(place):
    benchmark, before = run(place, rivals=RIVALS)
    found = {one.line.name: one for one in found_in(benchmark)}
    assert set(RIVALS) <= set(found)
    own = found["apm, own"]
    for name in RIVALS:
        line = found[name]
        assert line.is_rival_of(own)
        assert set(line.values) == set(own.values) - {"predicted_iou"}
        assert set(line.groups) == set(own.groups)  # every image
        assert line.cpu_seconds > 0
    assert found["pretrained-unet"].cpu_seconds >= own.cpu_seconds  # whole epochs
    write_all(benchmark, list(found.values()), pairs_of(list(found.values()), "dice"), "spec.yaml")
    table = (place / "out/table.md").read_text()
    assert all(f"| {name} | no prompts |" in table for name in RIVALS)
    assert "| CPU seconds |" in table
    assert "unet-early-stopping after 1 epochs, with 2 at most" in (place / "out/report.html").read_text()
    lines = {line["model"]: line for line in json.loads((place / "out/benchmark.json").read_text())["lines"]}
    assert lines["pretrained-unet"]["parameters"] > 3e6
    assert (lines["otsu"]["parameters"], lines["mean-mask"]["parameters"]) == (0, 0)
    assert lines["apm"]["cpu_seconds_with_encoding"] > lines["apm"]["cpu_seconds"]
    weights = {path: path.stat().st_mtime_ns for path in (place / "out").rglob("*.safetensors")}
    _, after = run(place, rivals=RIVALS)
    assert before == after
    assert weights == {path: path.stat().st_mtime_ns for path in weights}


@pytest.mark.slow
def test_rivals_that_are_added_later_leave_all_else_as_it_is(place):
    _, before = run(place)
    _, after = run(place, rivals=["otsu", "mean-mask"])
    assert {name.split("/")[2] for name in set(after) - set(before)} == {"otsu", "mean-mask"}
    assert before.items() <= after.items()


def test_scores_of_a_rule_are_made_anew_for_other_images_alone(place):
    run(place, models={"bare": {"variant": "sam"}}, rivals=["otsu"])
    rule = place / "out/discs/sam/otsu/seed-0/rule.safetensors"
    fitted = rule.stat().st_mtime_ns
    change_a_mask(place)  # of a test row
    _, again = run(place, models={"bare": {"variant": "sam"}}, rivals=["otsu"])
    assert rule.stat().st_mtime_ns == fitted
    (summary,) = [name for name in again if "otsu" in name]
    assert (place / "out" / summary).stat().st_mtime_ns > fitted


def test_weights_that_are_not_on_this_machine_are_missed_at_once(place, monkeypatch):
    def nowhere():
        raise SettingsError("not on this machine")

    monkeypatch.setattr("promise_seg.benchmarking.running.load_backbone", nowhere)
    run(place, models={"bare": {"variant": "sam"}}, rivals=["otsu"])
    with pytest.raises(SettingsError, match="not on this machine"):
        run(place, models={"bare": {"variant": "sam"}}, rivals={"pretrained-unet": {"epochs": 1}})
