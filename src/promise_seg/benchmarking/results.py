"""The results of a benchmark: means over images and seeds, for each line of the table and each test set."""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from safetensors import safe_open

from promise_seg.assessment.comparing import SavedEvaluation, read_scored
from promise_seg.assessment.report import result_paths
from promise_seg.assessment.statistics import LEAST_GROUPS, Difference, Interval, holm, mean_interval, paired_difference
from promise_seg.benchmarking.baseline_runs import seconds_of
from promise_seg.benchmarking.cells import TableLine, cells_of_line, lines_of
from promise_seg.benchmarking.costs import log_of
from promise_seg.benchmarking.gaps import gaps_in
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.unet import BEST_FILE
from promise_seg.checkpoint import WEIGHTS_FILE, find_checkpoint

_BUFFERS = re.compile(r"running_|num_batches")


@dataclass(frozen=True)
class LineScores:
    """A line of the table on one test set: the evaluation of each seed, in the order of the line's seeds.

    ``values`` maps each measure to the mean over seeds of each image, by the hash of the image; ``groups`` maps each
    image to its group. ``cpu_seconds`` is the CPU time for training and encoding, averaged over seeds; ``None`` if it
    is not known.
    """

    line: TableLine
    test: str
    seeds: tuple[SavedEvaluation, ...]
    values: dict[str, dict[str, float]]
    groups: dict[str, str]
    cpu_seconds: float | None = None
    _intervals: dict[str, Interval] = field(default_factory=dict, repr=False, compare=False)

    def of_seeds(self, there: Collection[int]) -> "LineScores":
        """Return the scores over the seeds that are in ``there``."""
        if set(self.line.seeds) <= set(there):
            return self
        chosen = [one for seed, one in zip(self.line.seeds, self.seeds, strict=True) if seed in there]
        return _scores_of(self.line.of_seeds(there), self.test, chosen)

    def interval(self, measure: str) -> Interval:
        """Return the mean over images and seeds, with its interval over groups of images."""
        if measure not in self._intervals:
            order = sorted(self.values[measure])
            values = [self.values[measure][image] for image in order]
            self._intervals[measure] = mean_interval(values, [self.groups[image] for image in order])
        return self._intervals[measure]

    @property
    def groups_count(self) -> int:
        """The number of groups of the test images."""
        return len(set(self.groups.values()))

    @property
    def is_of_few_groups(self) -> bool:
        """Whether there are too few groups for a 95 % interval, so intervals are ranges of the group means."""
        return 1 < self.groups_count < LEAST_GROUPS

    def is_comparable_to(self, other: "LineScores") -> bool:
        """Whether the two lines may be compared."""
        return self.test == other.test and self.line.comparison_key == other.line.comparison_key

    def seed_means(self, measure: str) -> list[float]:
        """Return the mean over images for each seed."""
        return [float(seed.summary.mean[measure]) for seed in self.seeds]

    def object_dice(self) -> float | None:
        """Return the mean Dice over objects and seeds; ``None`` unless objects were prompted separately."""
        found = [seed.summary.object_dice for seed in self.seeds if seed.summary.object_dice is not None]
        return sum(found) / len(found) if found else None


def found_in(benchmark: Benchmark, before: Sequence[LineScores] = ()) -> list[LineScores]:
    """Return all lines in the order of the table, over their finished seeds; lines without such seeds are left out.

    Args:
        benchmark: the benchmark, finished or not.
        before: earlier results of the same benchmark, which need not be read again.
    """
    known = {(one.line.key, one.test): one for one in before}
    return [found for line in lines_of(benchmark.spec) for found in _of_line(benchmark, line, known)]


def _of_line(
    benchmark: Benchmark, whole: TableLine, known: dict[tuple[tuple[str, str, str, str], str], LineScores]
) -> Iterator[LineScores]:
    done = [cell for cell in cells_of_line(benchmark.spec, whole) if cell.name in benchmark.done]
    if not done:
        return
    line = whole.of_seeds([cell.seed for cell in done])
    seconds = whole_cost_of(benchmark, line)
    for test in benchmark.tests(done[0]):
        earlier = known.get((line.key, test.name))
        if earlier is not None and earlier.line == line:
            yield earlier if earlier.cpu_seconds == seconds else replace(earlier, cpu_seconds=seconds)
            continue
        folders = [cell.scores_folder(benchmark.output, test.name) for cell in done]
        scored = [read_scored(result_paths(folder, line.prompts, line.protocol)[0]) for folder in folders]
        yield replace(_scores_of(line, test.name, scored), cpu_seconds=seconds)


def _scores_of(line: TableLine, test: str, scored: Sequence[SavedEvaluation]) -> LineScores:
    images = list(scored[0].images)
    values = {
        measure: {image: sum(one.images[image][measure] for one in scored) / len(scored) for image in images}
        for measure in scored[0].images[images[0]]
        if all(measure in one.images[image] for one in scored for image in images)
    }
    return LineScores(line, test, tuple(scored), values, scored[0].groups)


@dataclass(frozen=True)
class Pair:
    """The difference ``second`` minus ``first`` on one test set, image by image, averaged over the seeds that both
    have."""

    first: LineScores
    second: LineScores
    difference: Difference
    p_holm: float


def pairs_of(scores: Sequence[LineScores], measure: str) -> list[Pair]:
    """Compare all pairs of lines that may be compared. P-values are Holm-corrected for all these comparisons."""
    made = []
    for pair in combinations(scores, 2):
        if not pair[0].is_comparable_to(pair[1]):
            continue
        first, second = _of_common_seeds(*pair)
        if not (measure in first.values and measure in second.values):
            continue
        order = sorted(first.values[measure])
        one, other = ([f.values[measure][image] for image in order] for f in (first, second))
        made.append((first, second, paired_difference(one, other, [first.groups[image] for image in order])))
    corrected = holm([difference.p_value for *_, difference in made])
    return [Pair(*pair, p) for pair, p in zip(made, corrected, strict=True)]


def _of_common_seeds(first: LineScores, second: LineScores) -> tuple[LineScores, LineScores]:
    """Return both lines over their common seeds, without values if there are none."""
    if not (first.line.missing or second.line.missing):
        return first, second
    common = set(first.line.seeds) & set(second.line.seeds)
    if not common:
        return replace(first, values={}), replace(second, values={})
    return first.of_seeds(common), second.of_seeds(common)


def as_json(benchmark: Benchmark, scores: Sequence[LineScores], pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return all numbers of the tables as JSON, with the spec, the costs and the hashes of the models."""
    gaps = gaps_in(benchmark)
    return {
        "format_version": 1,
        "finished": not gaps,
        "missing": [gap.as_json() for gap in gaps],
        "spec": benchmark.spec.model_dump(mode="json", exclude_defaults=True),
        "lines": [_line_json(benchmark, one) for one in scores],
        "differences": [
            {
                "data": pair.first.line.data, "test": pair.first.test, "sam": pair.first.line.sam,
                "first": pair.first.line.name, "second": pair.second.line.name,
                "protocol": str(pair.first.line.protocol),
                "measure": benchmark.spec.measures[0],
                "seeds": [list(one.line.seeds) for one in (pair.first, pair.second)],
                "difference": round(pair.difference.interval.mean, 6), "interval": pair.difference.interval.as_json(),
                "difference_of_groups": round(pair.difference.mean_of_groups, 6),
                "p_wilcoxon": pair.difference.p_value, "p_holm": pair.p_holm,
            }
            for pair in pairs
        ],
    }  # fmt: skip


def _line_json(benchmark: Benchmark, one: LineScores) -> dict[str, Any]:
    cost = cost_of(benchmark, one.line)
    return {
        "data": one.line.data,
        "test": one.test,
        "sam": one.line.sam,
        "model": one.line.model.name,
        "variant": one.line.model.variant,
        "prompts": str(one.line.prompts),
        "prompts_read_the_ground_truth": one.line.reads_truth,
        "protocol": str(one.line.protocol),
        "seeds": list(one.line.seeds),
        "seeds_missing": list(one.line.missing),
        "images": len(one.groups),
        "groups": len(set(one.groups.values())),
        "parameters": parameters_of(benchmark, one.line),
        "cpu_seconds": None if cost is None else round(cost, 3),
        "cpu_seconds_with_encoding": None if one.cpu_seconds is None else round(one.cpu_seconds, 3),
        "encoded_views": benchmark.views(cells_of_line(benchmark.spec, one.line)[0]),
        "encoding": benchmark.encoding_cost(cells_of_line(benchmark.spec, one.line)[0]),
        "epochs": [len(log_of(cell.folder(benchmark.output))) for cell in cells_of_line(benchmark.spec, one.line)],
        "object_dice": one.object_dice(),
        "measures": {
            measure: {
                "mean": round(one.interval(measure).mean, 6),
                "interval": one.interval(measure).as_json(),
                "of_seeds": [round(v, 6) for v in one.seed_means(measure)],
            }
            for measure in one.values
            if measure in one.seeds[0].summary.mean
        },
        "model_sha256": [seed.summary.model_sha256 for seed in one.seeds],
    }


def parameters_of(benchmark: Benchmark, line: TableLine) -> int:
    """Return the number of trained parameters; 0 for models that are not trained."""
    if not (line.model.is_promise or line.model.is_unet):
        return 0
    folder = cells_of_line(benchmark.spec, line)[0].folder(benchmark.output)
    path = folder / BEST_FILE if line.model.is_unet else find_checkpoint(folder) / WEIGHTS_FILE
    with safe_open(path, "pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys() if not _BUFFERS.search(name)]  # noqa: SIM118
    return sum(math.prod(shape) for shape in shapes)


def cost_of(benchmark: Benchmark, line: TableLine) -> float | None:
    """Return the mean CPU seconds of training over seeds, without encoding; ``None`` if no time was recorded."""
    cells = cells_of_line(benchmark.spec, line)
    found = [seconds_of(cell.model, cell.folder(benchmark.output)) for cell in cells]
    return sum(found) / len(found) if any(found) else None


def whole_cost_of(benchmark: Benchmark, line: TableLine) -> float | None:
    """Return the mean CPU seconds that a line needs before it can predict: training, and encoding its views.

    The result is 0 for the bare SAM, and ``None`` if encoding is needed and its time was not measured.
    """
    training = cost_of(benchmark, line) or 0.0
    if not line.model.is_promise:
        return training
    cell = cells_of_line(benchmark.spec, line)[0]
    encoding = benchmark.encoding_cost(cell)
    return None if encoding is None else training + benchmark.views(cell) * encoding["cpu_seconds_per_view"]
