"""The table in its three forms, from scores that were written by hand."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from promise_seg.assessment.comparing import SavedEvaluation
from promise_seg.benchmarking.cells import Cell, TableLine
from promise_seg.benchmarking.gaps import Gap, count_words, gap_words
from promise_seg.benchmarking.results import LineScores, _scores_of, pairs_of
from promise_seg.benchmarking.spec import DataSpec, ModelSpec, SamSpec
from promise_seg.benchmarking.tables import caption_of, latex, long_csv, markdown, p_words
from promise_seg.vocabulary import PromptSource, Protocol
from tests.assessment.samples import summary

GROUPS = {f"i{n}": f"g{n}" for n in range(4)}


def found(model, variant, prompts, dice, hd95, seeds=(0,), test="polyps", protocol=Protocol.OWN):
    """One line whose images have these scores in every seed."""
    values = {"dice": dict(zip(GROUPS, dice, strict=True)), "hd95": dict(zip(GROUPS, hd95, strict=True))}
    mean = {name: sum(column.values()) / 4 for name, column in values.items()}
    scored = SavedEvaluation(model, Path("x"), summary(mean=mean), {}, GROUPS, {})
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
    assert lines[4].startswith("| A_1 | own prompts (automatic) | 0.650 [")
    assert "**4.000 [4.000, 4.000]**" in lines[4]  # a distance: the lowest is the best
    assert "**0.800 [" in lines[5]
    assert lines[6] == (
        "| bare | oracle points (from the ground truth) | 0.900 [0.900, 0.900] | 1.000 [1.000, 1.000] | 1 |"
    )  # alone in its kind: nothing to beat
    assert "4 images in 4 groups" in lines[0]


def test_captions_name_ranges_of_few_groups(table):
    assert "with 95 % intervals over groups. " in caption_of("kvasir", "nano", table)
    few = [replace(one, groups=dict.fromkeys(GROUPS, "a") | {next(iter(GROUPS)): "b"}) for one in table]
    assert "with the range of the group means. " in caption_of("kvasir", "nano", few)
    both = caption_of("kvasir", "nano", [*table, replace(few[0], test="other")])
    assert "with 95 % intervals over groups, or the range of the group means below 4 groups. " in both


def test_latex_escapes_what_means_something_to_it(table):
    text = latex(table, ["dice"])
    assert r"A\_1 & own prompts (automatic)" in text
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


def test_a_measure_that_was_added_between_two_seeds_is_left_out():
    old = SavedEvaluation(
        "a", Path("x"), summary(mean={"dice": 0.5}), {name: {"dice": 0.5} for name in GROUPS}, GROUPS, {}
    )
    with_more = {name: {"dice": 0.7, "assd": 3.0} for name in GROUPS}
    new = replace(old, summary=summary(mean={"dice": 0.7, "assd": 3.0}), images=with_more)
    line = TableLine("d", "nano", ModelSpec(name="a", variant="ips"), PromptSource.ORACLE, (0, 1))
    for seeds in ([old, new], [new, old]):
        scores = _scores_of(line, "d", seeds)
        assert list(scores.values) == ["dice"]
        assert markdown([scores], ["dice", "assd"]).splitlines()[-1].endswith("| 0.600 [0.600, 0.600] | - |")


def test_only_like_is_compared_with_like(table):
    others = [
        found("other", "apm", "apm", (1, 1, 1, 1), (1, 1, 1, 1), test="skin"),
        found("theirs", "apm", "apm", (1, 1, 1, 1), (1, 1, 1, 1), protocol=Protocol.REFERENCE),
    ]
    pairs = pairs_of([*table, *others], "dice")
    assert [(p.first.line.model.name, p.second.line.model.name) for p in pairs] == [("A_1", "B_C")]
    assert pairs[0].difference.interval.mean == pytest.approx(0.15)


def gap(model, seed, error=None):
    """A cell of three seeds that is missing."""
    spec = ModelSpec(name=model, variant="ips")
    cell = Cell(DataSpec(name="kvasir", manifest=Path("m")), SamSpec(name="nano", source="nano"), spec, seed)
    return Gap(cell, (0, 1, 2), error)


def test_cpu_seconds_stand_beside_baselines_once_all_are_known(table):
    baselines = [
        replace(found("Otsu", "otsu", "none", (0.1, 0.2, 0.3, 0.4), (9, 9, 9, 9)), cpu_seconds=0.0317),
        replace(found("U", "mean-mask", "none", (0.1, 0.2, 0.3, 0.4), (9, 9, 9, 9)), cpu_seconds=1234.5),
    ]
    assert "CPU seconds" not in markdown([*table, *baselines], ["dice"])  # those of the table are not known
    known = [replace(one, cpu_seconds=float(n)) for n, one in enumerate(table)]
    assert "CPU seconds" not in markdown(known, ["dice"])  # there is nothing to compare them with
    lines = markdown([*known, *baselines], ["dice"]).splitlines()
    assert lines[0].endswith("CPU seconds are those of training, and of encoding its views.")
    assert lines[2] == "| model | prompts | polyps Dice | seeds | CPU seconds |"
    assert [line.split(" | ")[-1] for line in lines[4:]] == ["0 |", "1 |", "2 |", "0.032 |", "1,234 |"]
    rows = list(csv.DictReader(io.StringIO(long_csv([*table, *baselines]))))
    assert {row["model"]: row["cpu_seconds"] for row in rows} == {
        "A_1": "", "B_C": "", "bare": "", "Otsu": "0.032", "U": "1234.5",
    }  # fmt: skip


def test_what_is_missing_is_said_of_each_model():
    gaps = [gap("A", 1, "it\n diverged"), gap("A", 2), gap("B", 0), gap("B", 1), gap("B", 2)]
    assert count_words(gaps) == "Not finished: 5 runs missing, 1 of them failed."
    assert gap_words(gaps) == [
        "kvasir/nano/A: 1 of 3 seeds; seed 1 failed: it diverged; seed 2 not run yet",
        "kvasir/nano/B: left out, because none of its seeds (3) is scored; seed 0, 1, 2 not run yet",
    ]


def test_lines_with_fewer_seeds_than_wanted_say_so_and_only_they(table):
    assert "seeds_missing" not in long_csv(table)
    assert "Not finished" not in markdown(table, ["dice"]) + latex(table, ["dice"])
    short = replace(table[1], line=replace(table[1].line, seeds=(0,), missing=(1, 2)))
    gaps = [gap("B_C", 1), gap("B_C", 2)]
    text = markdown([table[0], short], ["dice"], gaps)
    lines = text.splitlines()
    assert lines[0] == "**Not finished: 2 runs missing.**"
    assert lines[2] == "- kvasir/nano/B_C: 1 of 3 seeds; seed 1, 2 not run yet"
    assert [line.split(" | ")[-1] for line in lines[6:]] == ["seeds |", "--- |", "1 |", "1 of 3 |"]
    assert "% kvasir/nano/B_C: 1 of 3 seeds" in (tex := latex([table[0], short], ["dice"], gaps))
    assert "Not finished: 2 runs missing.}" in tex
    rows = list(csv.DictReader(io.StringIO(long_csv([table[0], short], gaps))))
    assert {(row["model"], row["seeds_missing"]) for row in rows} == {("A_1", "0"), ("B_C", "2")}


def seeded(model, dice_of_seeds, missing=()):
    """A line whose seeds have each its own Dice, the same for all images."""
    scored = tuple(
        SavedEvaluation(
            model, Path("x"), summary(mean={"dice": dice}), {name: {"dice": dice} for name in GROUPS}, GROUPS, {}
        )
        for dice in dice_of_seeds
    )
    spec = ModelSpec(name=model, variant="ips")
    line = TableLine("d", "nano", spec, PromptSource.ORACLE, tuple(range(len(scored))), missing=missing)
    mean = sum(dice_of_seeds) / len(dice_of_seeds)
    return LineScores(line, "d", scored, {"dice": dict.fromkeys(GROUPS, mean)}, GROUPS)


def test_differences_are_over_the_seeds_that_both_have():
    whole, part = seeded("a", (0.5, 0.9)), seeded("b", (0.6,), missing=(1,))
    (pair,) = pairs_of([whole, part], "dice")
    assert pair.difference.interval.mean == pytest.approx(0.1)
    assert (pair.first.line.seeds, pair.second.line.seeds) == ((0,), (0,))
    (pair,) = pairs_of([whole, seeded("b", (0.6, 1.0))], "dice")
    assert pair.first is whole
    other = replace(part, line=replace(part.line, seeds=(1,), missing=(0,)))
    first = replace(part, line=replace(part.line, seeds=(0,), missing=(1,)))
    assert pairs_of([first, other], "dice") == []


def test_no_p_value_is_nothing():
    assert [p_words(p) for p in (1e-9, 0.00099, 0.001, 0.03, 1)] == ["<0.001", "<0.001", "0.001", "0.030", "1.000"]
