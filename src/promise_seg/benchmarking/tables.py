"""The tables of a benchmark in Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Sequence

from promise_seg.assessment.measures import heading_of, lower_is_better
from promise_seg.assessment.statistics import LEAST_GROUPS
from promise_seg.benchmarking.cells import TableLine
from promise_seg.benchmarking.gaps import Gap, count_words, gap_words
from promise_seg.benchmarking.results import LineScores

_LATEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
                       "\\": r"\textbackslash{}"})  # fmt: skip


def _number(one: LineScores, measure: str) -> str:
    """Format the mean over all images and seeds with its interval; a dash if the line lacks the measure."""
    if measure not in one.values:
        return "-"
    interval = one.interval(measure)
    ends = interval.as_json()
    digits = 1 if abs(interval.mean) >= 10 else 3
    between = "" if ends is None else f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"
    return f"{interval.mean:.{digits}f}{between}"


def p_words(p_value: float) -> str:
    """Format a p-value with three decimals; ``<0.001`` if it is smaller."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def seeds_words(line: TableLine) -> str:
    """Format the number of seeds of a line, such as ``3``, or ``2 of 3`` if seeds are missing."""
    count = len(line.seeds)
    return f"{count} of {count + len(line.missing)}" if line.missing else str(count)


def seconds_words(seconds: float) -> str:
    """Format CPU seconds: two significant digits below ten, whole seconds above."""
    return f"{seconds:,.0f}" if seconds >= 10 or seconds == 0 else f"{seconds:.2g}"


def _is_best(one: LineScores, measure: str, scores: Sequence[LineScores]) -> bool:
    """Whether a line is the best of several lines that may be compared."""
    if measure not in one.values:
        return False
    comparable = [other for other in scores if other.is_comparable_to(one) and measure in other.values]
    means = [other.interval(measure).mean for other in comparable]
    best = min(means) if lower_is_better(measure) else max(means)
    return len(means) > 1 and one.interval(measure).mean == best


def _has_seconds(scores: Sequence[LineScores]) -> bool:
    """Whether the table has a column of CPU seconds: there are baselines, and the seconds of all lines are known."""
    return any(one.line.model.is_baseline for one in scores) and all(one.cpu_seconds is not None for one in scores)


class Grid:
    """A table as cells: a line for each model and kind of prompts, a column for each test set and measure.

    All lines have the same training data and SAM. Further columns follow if needed: the seeds, if their number differs
    or some are missing; the CPU seconds, if there are baselines and all are known; the protocol, if it differs.
    ``best`` contains the cells (line, column) to emphasise.
    """

    def __init__(self, scores: Sequence[LineScores], measures: Sequence[str]) -> None:
        tests = list(dict.fromkeys(one.test for one in scores))
        lines = list({one.line.key: one.line for one in scores}.values())
        counts = {len(line.seeds) for line in lines}
        has_seeds = len(counts) > 1 or any(line.missing for line in lines)
        self.head = ["model", "prompts", *(f"{test} {heading_of(m)}" for test in tests for m in measures)]
        if has_seeds:
            self.head.append("seeds")
        seconds = {one.line.key: one.cpu_seconds for one in scores}
        has_seconds = _has_seconds(scores)
        if has_seconds:
            self.head.append("CPU seconds")
        protocols = {line.protocol for line in lines}
        if len(protocols) > 1:
            self.head.append("protocol")
        self.rows: list[list[str]] = []
        self.best: set[tuple[int, int]] = set()
        for number, line in enumerate(lines):
            cells = [line.model.name, line.prompts.heading]
            for test in tests:
                one = next((f for f in scores if f.line.key == line.key and f.test == test), None)
                for measure in measures:
                    if one is not None and _is_best(one, measure, scores):
                        self.best.add((number, len(cells)))
                    cells.append("" if one is None else _number(one, measure))
            if has_seeds:
                cells.append(seeds_words(line))
            if has_seconds:
                cells.append(seconds_words(seconds[line.key] or 0))
            if len(protocols) > 1:
                cells.append(str(line.protocol))
            self.rows.append(cells)


def parts(scores: Sequence[LineScores]) -> list[tuple[str, str, list[LineScores]]]:
    """Group lines into tables, each with the data set, the SAM and the lines of both."""
    keys = dict.fromkeys((one.line.data, one.line.sam) for one in scores)
    return [(data, sam, [f for f in scores if (f.line.data, f.line.sam) == (data, sam)]) for data, sam in keys]


def caption_of(data: str, sam: str, scores: Sequence[LineScores], *, bold: bool = True) -> str:
    """Return the caption of a table, with the numbers of images, groups and seeds."""
    seeds = sorted({len(one.line.seeds) for one in scores})
    count = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    sizes = "; ".join(
        f"{test}: {len(one.groups)} images in {len(set(one.groups.values()))} groups"
        for test, one in {f.test: f for f in scores}.items()
    )
    return (
        f"Trained on {data}, SAM {sam}. Means over test images ({sizes}) and seeds ({count}), with "
        f"{_intervals_words(scores)}.{' The best of each kind of prompts is bold.' if bold else ''}"
        f"{' CPU seconds are those of training, and of encoding its views.' if _has_seconds(scores) else ''}"
    )


def _intervals_words(scores: Sequence[LineScores]) -> str:
    """Describe the intervals of a table, which are ranges for test sets of fewer than four groups."""
    ranges = {one.is_of_few_groups for one in scores}
    if ranges == {True}:
        return "the range of the group means"
    usual = "95 % intervals over groups"
    return f"{usual}, or the range of the group means below {LEAST_GROUPS} groups" if True in ranges else usual


def markdown(scores: Sequence[LineScores], measures: Sequence[str], gaps: Sequence[Gap] = ()) -> str:
    """Return a Markdown table for each training data set and SAM, preceded by a list of the missing runs."""
    texts = []
    if gaps:
        missing = "\n".join(f"- {words}" for words in gap_words(gaps))
        texts.append(f"**{count_words(gaps)}**\n\n{missing}\n")
    for data, sam, chosen in parts(scores):
        grid = Grid(chosen, measures)
        lines = [caption_of(data, sam, chosen), "", _md(grid.head), _md(["---"] * len(grid.head))]
        for number, row in enumerate(grid.rows):
            lines.append(_md([f"**{c}**" if (number, place) in grid.best else c for place, c in enumerate(row)]))
        texts.append("\n".join(lines) + "\n")
    return "\n".join(texts)


def _md(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def latex(scores: Sequence[LineScores], measures: Sequence[str], gaps: Sequence[Gap] = ()) -> str:
    """Return a LaTeX table for each training data set and SAM, for ``\\usepackage{booktabs}``.

    Missing runs are listed in comments and counted in the captions.
    """
    texts = []
    for data, sam, chosen in parts(scores):
        grid = Grid(chosen, measures)
        own = [gap for gap in gaps if (gap.cell.data.name, gap.cell.sam.name) == (data, sam)]
        caption = f"{caption_of(data, sam, chosen)}{f' {count_words(own)}' if own else ''}"
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption.translate(_LATEX)}}}",
            rf"\begin{{tabular}}{{ll{'c' * (len(grid.head) - 2)}}}",
            r"\toprule",
            _tex(grid.head),
            r"\midrule",
        ]
        for number, row in enumerate(grid.rows):
            cells = [cell.translate(_LATEX) for cell in row]
            cells = [rf"\textbf{{{c}}}" if (number, place) in grid.best else c for place, c in enumerate(cells)]
            lines.append(" & ".join(cells) + r" \\")
        texts.append("\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n")
    missing = "".join(f"% {words}\n" for words in [count_words(gaps), *gap_words(gaps)]) if gaps else ""
    return "% \\usepackage{booktabs}\n" + missing + "\n".join(texts)


def _tex(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"


def long_csv(scores: Sequence[LineScores], gaps: Sequence[Gap] = ()) -> str:
    """Return a CSV with one line per measure, for other programs; with ``seeds_missing`` if runs are missing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["trained_on", "test", "sam", "model", "variant", "prompts", "prompts_read_the_ground_truth", "protocol",
         "measure", "mean", "low", "high", "lowest_seed", "highest_seed", "seeds", "images", "groups", "cpu_seconds",
         *(["seeds_missing"] if gaps else [])]
    )  # fmt: skip
    for one in scores:
        line = one.line
        for measure in one.values:
            if measure not in one.seeds[0].summary.mean:
                continue
            interval, seeds = one.interval(measure), one.seed_means(measure)
            low, high = interval.as_json() or ("", "")
            writer.writerow(
                [line.data, one.test, line.sam, line.model.name, line.model.variant, line.prompts,
                 int(line.reads_truth), line.protocol, measure, round(interval.mean, 6), low, high,
                 round(min(seeds), 6), round(max(seeds), 6), len(seeds), len(one.groups), len(set(one.groups.values())),
                 "" if one.cpu_seconds is None else round(one.cpu_seconds, 3),
                 *([len(line.missing)] if gaps else [])]
            )  # fmt: skip
    return text.getvalue()
