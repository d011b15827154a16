"""``promise benchmark`` from a spec to its tables."""

import csv
import json
import shlex
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from promise_seg.benchmarking.data_sets import manifest_rows
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.spec import DataSpec
from promise_seg.benchmarking.unet_kinds import build_unet
from promise_seg.cli.main import main
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import SettingsError
from promise_seg.storage.sealed import opened
from promise_seg.storage.strays import temporary_name
from tests.benchmarking.conftest import benchmark_folder  # noqa: F401

pytestmark = pytest.mark.slow  # each command or training takes a second or more


@pytest.fixture(scope="module")
def finished(benchmark_folder, tmp_path_factory):  # noqa: F811
    """A benchmark that was run; tests must not change it."""
    out = tmp_path_factory.mktemp("out")
    store = tmp_path_factory.mktemp("store")
    assert main(["benchmark", str(benchmark_folder / "spec.yaml"), "-o", str(out), "--store", str(store)]) == 0
    return out, store, benchmark_folder / "spec.yaml"


def test_every_model_prompt_and_test_set_has_its_place(finished):
    out, _, _ = finished
    table = (out / "table.md").read_text()
    assert "discs Dice" in table
    assert "a Dice" in table
    assert "b IoU" in table
    rows = list(csv.DictReader((out / "table.csv").open()))
    found = {(r["model"], r["prompts"], r["test"]) for r in rows if r["measure"] == "dice"}
    lines = [("bare", "oracle"), ("both", "apm"), ("both", "oracle"), ("U-Net", "none")]
    assert found == {(*line, test) for line in lines for test in ("discs", "a", "b")}
    assert {r["seeds"] for r in rows} == {"2"}
    assert r"\toprule" in (out / "table.tex").read_text()


def test_the_table_is_the_mean_of_what_evaluations_say(finished):
    out, _, _ = finished
    rows = list(csv.DictReader((out / "table.csv").open()))
    row = next(
        r for r in rows if (r["model"], r["prompts"], r["test"], r["measure"]) == ("both", "apm", "discs", "dice")
    )
    seeds = [
        json.loads((out / f"discs/tiny/both/seed-{seed}/test/discs/summary_apm.json").read_text())["mean"]["dice"]
        for seed in (0, 1)
    ]
    assert float(row["mean"]) == pytest.approx(sum(seeds) / 2, abs=1e-5)
    assert float(row["lowest_seed"]) == pytest.approx(min(seeds), abs=1e-5)


def test_the_page_has_every_model_and_what_it_was_made_of(finished):
    out, _, spec = finished
    page = (out / "report.html").read_text()
    facts = json.loads((out / "benchmark.json").read_text())
    for words in ("bare", "both", "U-Net", "Run card", f"promise benchmark {spec}", "Training", "Differences"):
        assert words in page
    assert "The best of each is selected by its score on test images" in page
    assert "the mean of groups weights groups equally" in page
    assert all("difference_of_groups" in pair for pair in facts["differences"])
    for line in facts["lines"]:
        assert f"{line['measures']['dice']['mean']:.3f}" in page
        assert len(line["measures"]["dice"]["of_seeds"]) == 2
    assert "<img" not in page
    costs = {line["model"]: (line["parameters"], line["cpu_seconds"]) for line in facts["lines"]}
    assert costs["bare"] == (0, None)
    assert costs["both"][0] > 0
    assert costs["U-Net"][0] == sum(p.numel() for p in build_unet().parameters())
    assert costs["both"][1] > 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_its_window_and_its_tables_sort(finished, browser, width):
    out, _, _ = finished
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.set_default_timeout(180_000)  # on however busy a computer
    page.goto((out / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    names = page.locator("svg[role=img]").evaluate_all("all => all.map(one => one.querySelector('title').textContent)")
    assert names
    assert all(names)
    table = page.locator("table", has=page.locator("caption", has_text="Mean Dice by object size"))
    table.get_by_role("button", name="Dice").click()
    dice = [float(text) for text in table.locator("tbody tr td:last-child").all_text_contents()]
    assert dice == sorted(dice)
    page.close()


def test_looks_at_test_rows_are_noted_in_each_run(finished):
    out, _, _ = finished
    log = (out / "discs/tiny/both/seed-0/test_log.jsonl").read_text().splitlines()
    assert len(log) == 6  # own and oracle points on three test sets


def of_a_dead_process():
    """A temporary name of a process that had the number of this one before."""
    system, pid, _, token = temporary_name("").split("-")
    return f"{system}-{pid}-1-{token}"


@pytest.mark.slow
def test_a_finished_benchmark_does_nothing_again_and_a_lost_score_is_made_anew(finished, tmp_path):
    out, store, spec = finished
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    lost = copy / "discs/tiny/both/seed-1/test/discs/scores_apm.csv"
    wanted = lost.read_text()
    lost.unlink()
    log = copy / "discs/tiny/both/seed-0/test_log.jsonl"
    looks = log.read_text()
    first, *rest = looks.splitlines(keepends=True)
    unfinished = opened(json.loads(first)) | {"unfinished": of_a_dead_process()}  # killed after its scores
    log.write_text(json.dumps(unfinished) + "\n" + "".join(rest))
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*.safetensors")}
    kept = copy / "discs/tiny/both/seed-0/test/discs/scores_apm.csv"
    kept_at = kept.stat().st_mtime_ns
    assert main(["benchmark", str(spec), "-o", str(copy), "--store", str(store)]) == 0
    assert lost.read_text() == wanted
    assert {p: p.stat().st_mtime_ns for p in copy.rglob("*.safetensors")} == before
    assert kept.stat().st_mtime_ns == kept_at
    assert [json.loads(line) for line in log.read_text().splitlines()] == list(map(json.loads, looks.splitlines()))
    assert (copy / "table.csv").read_text() == (out / "table.csv").read_text()


def test_data_of_any_set_that_cannot_be_used_are_named_before_anything_is_trained(benchmark_folder, tmp_path, capsys):  # noqa: F811
    spec = (benchmark_folder / "spec.yaml").read_text().replace("others/manifest.csv", "nowhere.csv")
    path = benchmark_folder / "broken.yaml"
    path.write_text(spec)
    assert main(["benchmark", str(path), "-o", str(tmp_path / "out")]) == 2
    assert "data.others" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.*"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("by: device", "by: hospital", "by: hospital: no such column; expected one of device"),
        ("name: discs", "name: a", "the test set 'a' shares its folder"),
    ],
)
def test_test_sets_that_cannot_be_told_apart_or_found(benchmark_folder, tmp_path, capsys, old, new, words):  # noqa: F811
    text = (benchmark_folder / "spec.yaml").read_text()
    text = text.replace(old, new) if old in text else text.replace("discs:", "a:").replace("- discs", "- a")
    path = benchmark_folder / f"{new[-3:].strip()}.yaml"
    path.write_text(text)
    assert main(["benchmark", str(path), "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named_at_once(benchmark_folder, tmp_path, capsys):  # noqa: F811
    (tmp_path / "file").write_text("x")
    assert main(["benchmark", str(benchmark_folder / "spec.yaml"), "-o", str(tmp_path / "file/out")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_plan_does_nothing(benchmark_folder, tmp_path, capsys):  # noqa: F811
    assert main(["benchmark", str(benchmark_folder / "spec.yaml"), "-o", str(tmp_path / "out"), "--plan"]) == 0
    shown = capsys.readouterr()
    assert "Discs: 6 runs" in shown.out
    (command,) = [line.strip() for line in shown.err.splitlines() if "promise features plan" in line]
    assert main(shlex.split(command)[1:] + ["--views", "1", "--store", str(tmp_path / "store")]) == 0
    assert not (tmp_path / "out").exists()


def test_a_plan_notes_the_earlier_name_of_baselines(benchmark_folder, tmp_path, capsys):  # noqa: F811
    spec = benchmark_folder / "spec.yaml"
    old = benchmark_folder / "old.yaml"
    old.write_text(spec.read_text() + "\nrivals: [otsu]\n")
    assert main(["benchmark", str(old), "-o", str(tmp_path / "out"), "--plan"]) == 0
    assert f"note: {old}: rivals is now called baselines" in " ".join(capsys.readouterr().err.split())


def test_a_plan_names_all_manifests_that_cannot_be_used(tmp_path, capsys):
    (tmp_path / "b.csv").write_text("image_name,train_type,mask_name\na.png,val,b.png\na.png,test,b.png\n")
    path = tmp_path / "spec.yaml"
    path.write_text("data: {a: {manifest: a.csv}, b: {manifest: b.csv}}\nmodels: {x: {variant: apm}}\n")
    assert main(["benchmark", str(path), "-o", str(tmp_path / "out"), "--plan"]) == 2
    error = capsys.readouterr().err
    assert "data.a: " in error
    assert "b.csv: no train rows" in error


def test_masks_may_be_those_of_another_folder(benchmark_folder, tmp_path):  # noqa: F811
    masks = benchmark_folder / "inverted"
    masks.mkdir(exist_ok=True)
    for path in (benchmark_folder / "others/masks").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(masks / path.name)
    data = DataSpec(name="others", manifest=benchmark_folder / "others/manifest.csv", mask_folder=masks)
    row = check_rows(manifest_rows(data))[0]
    plain = check_rows(read_manifest(data.manifest))[0]
    assert np.array_equal(row.mask(), ~plain.mask())


def one_set(folder, **changes):
    """The spec of a benchmark on one data set."""
    spec = yaml.safe_load((folder / "spec.yaml").read_text())
    spec["data"] = {"discs": {"manifest": "discs/manifest.csv"}}
    path = folder / f"{'-'.join(changes) or 'one'}.yaml"
    path.write_text(yaml.safe_dump(spec | changes, sort_keys=False))
    return path


def stop_at(monkeypatch, name, error):
    """Let the cell of that name end with an error."""
    run = Benchmark._run

    def stopped(self, cell, progress):
        if cell.name == name:
            raise error
        run(self, cell, progress)

    monkeypatch.setattr(Benchmark, "_run", stopped)


@pytest.mark.slow
def test_a_stopped_benchmark_leaves_tables_of_what_is_done(benchmark_folder, tmp_path, monkeypatch, capsys):  # noqa: F811
    path = one_set(benchmark_folder)
    with monkeypatch.context() as patched:
        stop_at(patched, "discs/tiny/both/seed-1", KeyboardInterrupt)
        assert main(["benchmark", str(path), "-o", str(tmp_path)]) == 130
    assert "written, as far as it is done" in capsys.readouterr().err
    table = (tmp_path / "table.md").read_text()
    assert "**Not finished: 2 runs missing.**" in table
    assert "- discs/tiny/U-Net: 1 of 2 seeds; seed 1 not run yet" in table
    assert "| 1 of 2 |" in table
    facts = json.loads((tmp_path / "benchmark.json").read_text())
    assert not facts["finished"]
    assert [(one["model"], one["seed"], one["error"]) for one in facts["missing"]] == [
        ("both", 1, None), ("U-Net", 1, None),
    ]  # fmt: skip
    assert {line["model"]: line["seeds"] for line in facts["lines"]} == {"bare": [0, 1], "both": [0], "U-Net": [0]}
    assert {line["model"]: line["seeds_missing"] for line in facts["lines"]}["both"] == [1]
    page = (tmp_path / "report.html").read_text()
    assert "Runs that are missing" in page
    with monkeypatch.context() as patched:  # stopped again while it looks through what is there: nothing is lost
        stop_at(patched, "discs/tiny/both/seed-0", KeyboardInterrupt)
        assert main(["benchmark", str(path), "-o", str(tmp_path)]) == 130
    assert (tmp_path / "table.md").read_text() == table
    assert main(["benchmark", str(path), "-o", str(tmp_path)]) == 0
    assert "Not finished" not in (tmp_path / "table.md").read_text() + (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "benchmark.json").read_text())["finished"]


def test_a_run_that_diverges_is_named_and_the_others_go_on(benchmark_folder, tmp_path, capsys):  # noqa: F811
    models = {
        "wild": {"variant": "ips", "training": {"learning_rate": 1e30, "epochs": 3}},
        "timed": {"variant": "unet", "budget_of": "wild"},
        "bare": {"variant": "sam"},
    }
    path = one_set(benchmark_folder, models=models, seeds=[0])
    assert main(["benchmark", str(path), "-o", str(tmp_path), "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "failed: discs/tiny/wild/seed-0: " in said
    assert "2 of 3 runs failed" in said.splitlines()[-1]
    assert "discs/tiny/wild/seed-0, discs/tiny/timed/seed-0" in said.splitlines()[-1]
    table = (tmp_path / "table.md").read_text()
    assert "- discs/tiny/wild: left out, because none of its seeds (1) is scored; seed 0 failed: " in table
    assert "needs the time that discs/tiny/wild/seed-0 takes" in table
    facts = json.loads((tmp_path / "benchmark.json").read_text())
    assert [line["model"] for line in facts["lines"]] == ["bare"]
    assert facts["missing"][0]["error"]


def test_where_nothing_could_be_run_the_files_say_so(benchmark_folder, tmp_path, monkeypatch):  # noqa: F811
    path = one_set(benchmark_folder, models={"bare": {"variant": "sam"}}, seeds=[0])
    stop_at(monkeypatch, "discs/tiny/bare/seed-0", SettingsError("no good"))
    assert main(["benchmark", str(path), "-o", str(tmp_path)]) == 2
    assert "seed 0 failed: no good" in (tmp_path / "table.md").read_text()
    assert "failed: no good" in (tmp_path / "report.html").read_text()
