"""``promise benchmark`` from a spec to its tables."""

import csv
import json
import shutil

import pytest

from promise_seg.cli.main import main
from tests.benchmarking.conftest import benchmark_folder  # noqa: F401


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


def test_a_finished_benchmark_does_nothing_again_and_a_lost_score_is_made_anew(finished, tmp_path):
    out, store, spec = finished
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    lost = copy / "discs/tiny/both/seed-1/test/discs/scores_apm.csv"
    wanted = lost.read_text()
    lost.unlink()
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*.safetensors")}
    kept = copy / "discs/tiny/both/seed-0/test/discs/scores_apm.csv"
    kept_at = kept.stat().st_mtime_ns
    assert main(["benchmark", str(spec), "-o", str(copy), "--store", str(store)]) == 0
    assert lost.read_text() == wanted
    assert {p: p.stat().st_mtime_ns for p in copy.rglob("*.safetensors")} == before
    assert kept.stat().st_mtime_ns == kept_at
    assert (copy / "table.csv").read_text() == (out / "table.csv").read_text()
