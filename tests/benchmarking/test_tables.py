"""The table in its three forms, from scores that were written by hand."""

import csv
import io
from pathlib import Path

import pytest

from promise_seg.assessment.comparing import Scored
from promise_seg.assessment.evaluation import PromptSource
from promise_seg.benchmarking.cells import TableLine
from promise_seg.benchmarking.results import LineScores, pairs_of
from promise_seg.benchmarking.spec import ModelSpec
from promise_seg.benchmarking.tables import latex, long_csv, markdown
from promise_seg.protocol import Protocol

GROUPS = {f"i{n}": f"g{n}" for n in range(4)}


def found(model, variant, prompts, dice, hd95, seeds=(0,), test="polyps", protocol=Protocol.OWN):
    """One line whose images have these scores in every seed."""
    values = {"dice": dict(zip(GROUPS, dice, strict=True)), "hd95": dict(zip(GROUPS, hd95, strict=True))}
    mean = {name: sum(column.values()) / 4 for name, column in values.items()}
    scored = Scored(model, Path("x"), {"mean": mean, "model_sha256": "0"}, {}, GROUPS)
    line = TableLine("kvasir", "nano", ModelSpec(name=model, variant=variant), PromptSource(prompts), seeds, protocol)
    return LineScores(line, test, (scored,) * len(seeds), values, GROUPS)


@pytest.fixture
def table():
    return [
        found("A_1", "apm", "apm", (0.5, 0.6, 0.7, 0.8), (4, 4, 4, 4)),
        found("B_C", "apm+ips", "apm", (0.7, 0.8, 0.9, 0.8), (20, 20, 20, 20), seeds=(0, 1)),
        found("bare", "sam", "oracle", (0.9, 0.9, 0.9, 0.9), (1, 1, 1, 1)),
    ]


def test_markdown_names_prompts_and_makes_the_best_of_each_kind_bold(table):
    text = markdown(table, ["dice", "hd95"])
    lines = text.splitlines()
    assert lines[2] == "| model | prompts | polyps Dice | polyps HD95 | seeds |"
    assert lines[4].startswith("| A_1 | own points (automatic) | 0.650 [")
    assert "**4.000 [4.000, 4.000]**" in lines[4]  # a distance: the lowest is the best
    assert "**0.800 [" in lines[5]
    assert lines[6] == (
        "| bare | oracle points (from the ground truth) | 0.900 [0.900, 0.900] | 1.000 [1.000, 1.000] | 1 |"
    )  # alone in its kind: nothing to beat
    assert "4 images in 4 groups" in lines[0]


def test_latex_escapes_what_means_something_to_it(table):
    text = latex(table, ["dice"])
    assert r"A\_1 & own points (automatic)" in text
    assert r"B\_C" in text
    assert r"95 \% intervals" in text
    assert text.count(r"\textbf{") == 1
    columns = text.split(r"\begin{tabular}{")[1].split("}")[0]
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert all(line.count("&") == len(columns) - 1 for line in rows)


def test_the_csv_has_every_measure_of_every_line(table):
    rows = list(csv.DictReader(io.StringIO(long_csv(table))))
    assert len(rows) == 6
    row = next(r for r in rows if r["model"] == "B_C" and r["measure"] == "dice")
    assert (row["mean"], row["seeds"], row["images"], row["prompts_read_the_ground_truth"]) == ("0.8", "2", "4", "0")


def test_lines_by_another_protocol_are_marked_and_never_the_best(table):
    theirs = found("theirs", "apm", "apm", (1, 1, 1, 1), (1, 1, 1, 1), protocol=Protocol.REFERENCE)
    lines = markdown([*table, theirs], ["dice"]).splitlines()
    assert lines[2].endswith("| seeds | protocol |")
    assert "**0.800" in lines[5]
    assert lines[7].endswith("| 1.000 [1.000, 1.000] | 1 | reference |")


def test_a_measure_that_a_line_has_not_is_a_dash(table):
    del table[0].values["hd95"]
    lines = markdown(table, ["dice", "hd95"]).splitlines()
    assert lines[4].endswith("| - | 1 |")
    assert "**20.0" not in lines[5]  # with nothing left to beat
    assert pairs_of(table, "hd95") == []


def test_only_like_is_compared_with_like(table):
    others = [
        found("other", "apm", "apm", (1, 1, 1, 1), (1, 1, 1, 1), test="skin"),
        found("theirs", "apm", "apm", (1, 1, 1, 1), (1, 1, 1, 1), protocol=Protocol.REFERENCE),
    ]
    pairs = pairs_of([*table, *others], "dice")
    assert [(p.first.line.model.name, p.second.line.model.name) for p in pairs] == [("A_1", "B_C")]
    assert pairs[0].difference.interval.mean == pytest.approx(0.15)
