"""Compare two or more evaluations of the same images, image by image."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from promise_seg.assessment.measures import BEST_OF_EACH_IMAGE, RENAMED, about_older_name, find_measure
from promise_seg.assessment.statistics import Difference, holm, paired_difference
from promise_seg.assessment.summary import EvaluationSummary, read_summary, scores_sha256
from promise_seg.assessment.volume_report import volumes_path
from promise_seg.assessment.volumes import HASHES
from promise_seg.errors import SettingsError, first_line
from promise_seg.storage.csv_records import records

_FACTS = (
    "image", "split", "group", *HASHES, "prompts", "objects", "slices", "slices_of_volume"
)  # fmt: skip

_Value = TypeVar("_Value")
IMAGES, VOLUMES = "images", "volumes"


class Table(NamedTuple):
    """The measures, group and ground-truth hashes of each image or volume, each by the hash of the image's content.

    The same ground truth has a hash in common: that of its values, which earlier versions did not write, or that of the
    values as stored, which differs between data types.
    """

    values: dict[str, dict[str, float]]
    groups: dict[str, str]
    truths: dict[str, frozenset[str]]


@dataclass(frozen=True)
class SavedEvaluation:
    """A saved evaluation: its name, its summary, and the measures of each image by the hash of its content.

    ``volumes`` is the same for volumes; ``None`` if the images are not slices of volumes.
    """

    name: str
    path: Path
    summary: EvaluationSummary
    images: dict[str, dict[str, float]]
    groups: dict[str, str]
    truths: dict[str, frozenset[str]]
    volumes: Table | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the evaluation: scores, summary, and scores of volumes, which may not exist."""
        return self.path, _summary_path(self.path), volumes_path(self.path)


def _summary_path(scores: Path) -> Path:
    return scores.with_name(scores.name.replace("scores_", "summary_", 1)).with_suffix(".json")


def read_scored(place: str | Path, prompts: str | None = None) -> SavedEvaluation:
    """Read an evaluation from its ``scores_*.csv``, or from a folder with such a file.

    Args:
        place: the file or folder.
        prompts: the source of prompts, to select one of several evaluations in a folder.

    Raises:
        SettingsError: if there is no evaluation or more than one, or its files are damaged or do not belong together.
    """
    path = Path(place)
    if path.is_dir():
        path = _evaluation_in(path, prompts)
    elif not path.exists():
        raise SettingsError(
            f"{place}: no such file or folder; expected the folder of an evaluation, or its scores_<prompts>.csv. Make "
            "it with promise evaluate -o"
        )
    elif not (path.name.startswith("scores_") and path.suffix == ".csv"):
        raise SettingsError(f"{path}: expected a file scores_<prompts>.csv of promise evaluate, or its folder")
    elif prompts is not None and path.stem.split("_")[1] != prompts:
        raise SettingsError(f"--prompts {prompts}: {path} has other scores. Give its folder, or leave the option out")
    summary_path = _summary_path(path)
    try:
        summary = read_summary(summary_path)
        images = _read_table(path)
        whole = volumes_path(path)
        volumes = _read_table(whole) if summary.volumes is not None and whole.is_file() else None
        for scores, sha256 in ((path, summary.scores_sha256), (whole, summary.volumes_sha256)):
            if sha256 is not None and scores.is_file() and scores_sha256(scores) != sha256:
                raise SettingsError(
                    f"{scores}: does not match {summary_path.name}: it was changed, or an evaluation was "
                    "interrupted. Run promise evaluate again"
                )
    except FileNotFoundError as error:
        raise SettingsError(f"{error.filename}: no such file; expected the output of promise evaluate") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise SettingsError(
            f"{path}: not an evaluation by this version of promise evaluate: {first_line(error)}"
        ) from error
    if not images.values:
        raise SettingsError(f"{path}: contains no images")
    name = f"{summary.model} ({summary.prompts})"
    present = _with_present_names(summary)
    return SavedEvaluation(name, path, present, images.values, images.groups, images.truths, volumes)


def _read_table(path: Path) -> Table:
    """Read a CSV file of scores; lines are identified by the hash of the image's content."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(records(file))
    names = _distinct([line["image_sha256"] for line in lines])
    values = {
        name: _by_present_names({m: float(v) for m, v in line.items() if m not in _FACTS and v != ""})
        for name, line in zip(names, lines, strict=True)
    }
    groups = {name: line["group"] for name, line in zip(names, lines, strict=True)}
    truths = {
        name: frozenset([line["truth_sha256"], line.get("truth_values_sha256") or line["truth_sha256"]])
        for name, line in zip(names, lines, strict=True)
    }
    return Table(values, groups, truths)


def _by_present_names(found: dict[str, _Value]) -> dict[str, _Value]:
    """Return the values by the current names of the measures."""
    return {RENAMED.get(name, name): value for name, value in found.items()}


def _with_present_names(summary: EvaluationSummary) -> EvaluationSummary:
    """Return a summary of any version with the current names of the measures."""
    parts = {"mean": _by_present_names(summary.mean), "interval": _by_present_names(summary.interval)}
    return summary.model_copy(update=parts)


def _evaluation_in(folder: Path, prompts: str | None) -> Path:
    """Return the only ``scores_*.csv`` in a folder, or in its subfolders if there is none in the folder itself.

    Raises:
        SettingsError: if there is no such file, or more than one.
    """
    pattern = f"scores_{prompts or '*'}.csv"
    found = sorted(folder.glob(pattern)) or sorted(folder.glob(f"*/{pattern}"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.relative_to(folder).as_posix() for path in found)
    what = f"{len(found)} evaluations ({names})" if found else "no evaluation"
    way_out = (
        "Name the file, or pass --prompts"
        if found
        else f"Make one: promise evaluate {folder} DATA.csv -o {folder}/test"
    )
    raise SettingsError(f"{folder}: {what} there; expected one file {pattern}. {way_out}")


def _distinct(hashes: list[str]) -> list[str]:
    """Make hashes unique by adding a row number, for images in several rows with a different mask in each."""
    seen: Counter[str] = Counter()
    names = []
    for sha256 in hashes:
        seen[sha256] += 1
        names.append(sha256 if seen[sha256] == 1 else f"{sha256}, row {seen[sha256]}")
    return names


@dataclass(frozen=True)
class Comparison:
    """The difference ``second`` minus ``first`` in a measure, with its p-value.

    ``p_holm`` is corrected for all comparisons made at once. ``of`` tells what was compared: ``images``, which include
    slices of volumes, or ``volumes``.
    """

    first: str
    second: str
    measure: str
    first_mean: float
    second_mean: float
    difference: Difference
    p_holm: float
    of: str = IMAGES

    @property
    def contradiction(self) -> str:
        """A note that the test points in another direction than the difference; empty if it does not."""
        if not self.difference.contradicts_itself:
            return ""
        return (
            f"{self.measure} of {self.of}, {self.second} minus {self.first}: the mean difference is "
            f"{self.difference.interval.mean:+.3f}, with equal weight for each of the {self.of}, but the test, with "
            f"equal weight for each group, is significant in the other direction (mean of groups "
            f"{self.difference.mean_of_groups:+.3f})"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as a row of ``comparison.json``."""
        return {
            "first": self.first,
            "second": self.second,
            "of": self.of,
            "measure": self.measure,
            "first_mean": round(self.first_mean, 6),
            "second_mean": round(self.second_mean, 6),
            "difference": round(self.difference.interval.mean, 6),
            "interval": self.difference.interval.as_json(),
            "difference_of_groups": round(self.difference.mean_of_groups, 6),
            "p_wilcoxon": self.difference.p_value,
            "p_holm": self.p_holm,
        }


def volumes_match(runs: Sequence[SavedEvaluation]) -> bool:
    """Whether all evaluations have scores of the same volumes."""
    tables = [run.volumes for run in runs]
    first = tables[0]
    return first is not None and all(
        one is not None and one.truths.keys() == first.truths.keys() and not _other_truths(one.truths, first.truths)
        for one in tables
    )


def _other_truths(one: dict[str, frozenset[str]], other: dict[str, frozenset[str]]) -> int:
    """Count the images, the same in both, whose ground truths differ."""
    return sum(one[image].isdisjoint(other[image]) for image in one)


def compare(runs: list[SavedEvaluation], measures: list[str], seed: int = 0) -> list[Comparison]:
    """Compare every pair of evaluations in every measure, by images, and by volumes if all have the same volumes.

    Args:
        runs: at least two evaluations.
        measures: the names of the measures.
        seed: the seed of the intervals.

    Raises:
        SettingsError: if there are fewer than two evaluations, if they differ in images, ground truths, groups,
            protocol or tolerance, or if one of them lacks a measure.
    """
    if len(runs) < 2:
        raise SettingsError("a comparison needs at least two evaluations")
    for run in runs[1:]:
        _check_same(runs[0], run, measures)
    order = sorted(runs[0].images)
    for run in runs:
        for measure in measures:
            if any(measure not in run.images[image] for image in order):
                raise SettingsError(_lacks(run, measure))
    parts = [(IMAGES, [Table(run.images, run.groups, run.truths) for run in runs])]
    if volumes_match(runs):
        parts.append((VOLUMES, [run.volumes for run in runs if run.volumes is not None]))
    found = [
        (runs[one], runs[other], measure, of, *_difference(tables[one], tables[other], measure, seed))
        for of, tables in parts
        for one, other in combinations(range(len(runs)), 2)
        for measure in measures
        if _shared(tables[one], tables[other], measure)
    ]
    corrected = holm([difference.p_value for *_, difference in found])
    names = _names(runs)
    return [
        Comparison(names[a.path], names[b.path], measure, mean_a, mean_b, difference, p, of)
        for (a, b, measure, of, mean_a, mean_b, difference), p in zip(found, corrected, strict=True)
    ]


def _shared(first: Table, second: Table, measure: str) -> list[str]:
    """Return the sorted names of the images or volumes with this measure in both tables; volumes may lack distances."""
    return sorted(name for name in first.values if measure in first.values[name] and measure in second.values[name])


def _difference(first: Table, second: Table, measure: str, seed: int) -> tuple[float, float, Difference]:
    """Return both means and the difference, over the images or volumes that have the measure in both tables."""
    order = _shared(first, second, measure)
    one, other = ([table.values[name][measure] for name in order] for table in (first, second))
    difference = paired_difference(one, other, [first.groups[name] for name in order], seed=seed)
    return sum(one) / len(one), sum(other) / len(other), difference


def _lacks(run: SavedEvaluation, measure: str) -> str:
    """Return the message for a measure that an evaluation lacks."""
    known = set.intersection(*(set(values) for values in run.images.values()))
    words = f"{run.path}: does not have {measure} for every image; expected one of {', '.join(sorted(known))}"
    if older := about_older_name(measure):
        return f"{words}. {older[0].upper()}{older[1:]}"
    new = find_measure(measure)
    is_older = BEST_OF_EACH_IMAGE in known and new is not None and not new.only_for_instances
    return f"{words}. It was written by an older version: evaluate again to get {measure}" if is_older else words


def _names(runs: list[SavedEvaluation]) -> dict[Path, str]:
    """Return the name of each evaluation by its path; names that are not unique include the folder."""
    names = [run.name for run in runs]
    return {run.path: run.name if names.count(run.name) == 1 else f"{run.name} in {run.path.parent}" for run in runs}


def _check_same(first: SavedEvaluation, run: SavedEvaluation, measures: list[str]) -> None:
    """Check that two evaluations differ only in the model and its prompts.

    Raises:
        SettingsError: if they differ in images, ground truths, groups, protocol or, for distances, tolerance.
    """
    both = f"{run.path} and {first.path}"
    if run.path.resolve() == first.path.resolve():
        raise SettingsError(f"{run.path}: named twice; a comparison needs two evaluations")
    only_here, only_there = set(run.images) - set(first.images), set(first.images) - set(run.images)
    if only_here or only_there:
        raise SettingsError(
            f"{both} have different images: {len(only_here)} are only in the first, {len(only_there)} only in the "
            "second. Evaluate both on the same rows, read in the same way"
        )
    if run.summary.protocol != first.summary.protocol:
        raise SettingsError(f"{both} were scored by different protocols")
    if others := _other_truths(run.truths, first.truths):
        raise SettingsError(
            f"{both} have a different ground truth for {others} of {len(run.images)} images. Evaluate both on the "
            "same masks, with the same --class, --instances and --mask-threshold"
        )
    if others := _regrouped(run, first):
        raise SettingsError(
            f"{both} have different groups for {others} of {len(run.images)} images, on which intervals and tests "
            "depend. Evaluate both on the same CSV; if one was written by an earlier version, which did not group "
            "DICOM files by patient, evaluate it again"
        )
    in_units = [one.name for one in map(find_measure, measures) if one is not None and one.needs_same_tolerance]
    one, other = run.summary.tolerance, first.summary.tolerance
    if in_units and one != other:
        raise SettingsError(
            f"{both} were measured with the tolerances {one} and {other}, so {', '.join(in_units)} cannot be "
            "compared. Evaluate both with the same --tolerance"
        )


def _regrouped(run: SavedEvaluation, first: SavedEvaluation) -> int:
    """Count the images whose groups have different members in the two evaluations; names of groups do not matter."""
    members: list[dict[str, set[str]]] = []
    for one in (run, first):
        found: dict[str, set[str]] = {}
        for image, group in one.groups.items():
            found.setdefault(group, set()).add(image)
        members.append(found)
    return sum(members[0][run.groups[image]] != members[1][first.groups[image]] for image in run.images)
