"""Two or more evaluations of the same images, image by image."""

import csv
import json
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from promise_seg.assessment.statistics import Difference, holm, paired_difference
from promise_seg.errors import SettingsError

_FACTS = ("image", "split", "group", "image_sha256", "prompts", "objects")


@dataclass(frozen=True)
class Scored:
    """An evaluation as it was written: its name, its summary, and of each image, by its content, all measures."""

    name: str
    path: Path
    summary: dict[str, Any]
    images: dict[str, dict[str, float]]
    groups: dict[str, str]


def read_scored(place: str | Path, prompts: str | None = None) -> Scored:
    """Read an evaluation from its ``scores_*.csv``, or a folder with one.

    Args:
        place: the file or folder.
        prompts: which of a folder's several evaluations.

    Raises:
        SettingsError: if there is none, or more than one, or it is damaged.
    """
    path = Path(place)
    if path.is_dir():
        found = sorted(path.glob(f"scores_{prompts or '*'}.csv"))
        if len(found) != 1:
            what = f"{len(found)} evaluations ({', '.join(p.name for p in found)})" if found else "no evaluation"
            raise SettingsError(
                f"{path}: {what} there; expected one file scores_<prompts>.csv. Name the file, or give --prompts"
            )
        path = found[0]
    elif path.exists() and not (path.name.startswith("scores_") and path.suffix == ".csv"):
        raise SettingsError(f"{path}: expected a file scores_<prompts>.csv of promise evaluate, or its folder")
    summary_path = path.with_name(path.name.replace("scores_", "summary_", 1)).with_suffix(".json")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        summary = json.loads(summary_path.read_text(encoding="utf-8"))
        names = _distinct([line["image_sha256"] for line in lines])
        images = {
            name: {measure: float(v) for measure, v in line.items() if measure not in _FACTS and v != ""}
            for name, line in zip(names, lines, strict=True)
        }
        groups = {name: line["group"] for name, line in zip(names, lines, strict=True)}
    except FileNotFoundError as error:
        raise SettingsError(f"{error.filename}: no such file; expected the output of promise evaluate") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise SettingsError(f"{path}: not an evaluation by this version of promise evaluate: {error}") from error
    if not images:
        raise SettingsError(f"{path}: holds no images")
    name = f"{summary.get('model', path.parent.name)} ({summary.get('prompts', '?')})"
    return Scored(name, path, summary, images, groups)


def _distinct(hashes: list[str]) -> list[str]:
    """Each by itself; an image that stands in several rows, with another mask in each, once for each of them."""
    seen: Counter[str] = Counter()
    names = []
    for sha256 in hashes:
        seen[sha256] += 1
        names.append(sha256 if seen[sha256] == 1 else f"{sha256}, row {seen[sha256]}")
    return names


@dataclass(frozen=True)
class Comparison:
    """``second`` less ``first`` in one measure; ``p_holm`` is corrected for all comparisons that were made at once."""

    first: str
    second: str
    measure: str
    first_mean: float
    second_mean: float
    difference: Difference
    p_holm: float

    def as_json(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "second": self.second,
            "measure": self.measure,
            "first_mean": round(self.first_mean, 6),
            "second_mean": round(self.second_mean, 6),
            "difference": round(self.difference.interval.mean, 6),
            "interval": self.difference.interval.as_json(),
            "p_wilcoxon": self.difference.p_value,
            "p_holm": self.p_holm,
        }


def compare(runs: list[Scored], measures: list[str], seed: int = 0) -> list[Comparison]:
    """Compare every two evaluations in every measure.

    Raises:
        SettingsError: if they are of different images, or lack a measure.
    """
    if len(runs) < 2:
        raise SettingsError("a comparison needs two evaluations at least")
    _check_same(runs)
    order = sorted(runs[0].images)
    for run in runs:
        for measure in measures:
            if any(measure not in run.images[image] for image in order):
                known = ", ".join(sorted(set.intersection(*(set(v) for v in run.images.values()))))
                raise SettingsError(f"{run.path}: has no {measure} of every image; choose among {known}")
    groups = [runs[0].groups[image] for image in order]
    found = []
    for first, second in combinations(runs, 2):
        for measure in measures:
            one, other = ([run.images[image][measure] for image in order] for run in (first, second))
            difference = paired_difference(one, other, groups, seed=seed)
            found.append((first, second, measure, sum(one) / len(one), sum(other) / len(other), difference))
    corrected = holm([difference.p_value for *_, difference in found])
    names = _names(runs)
    return [
        Comparison(names[a.path], names[b.path], measure, mean_a, mean_b, difference, p)
        for (a, b, measure, mean_a, mean_b, difference), p in zip(found, corrected, strict=True)
    ]


def _names(runs: list[Scored]) -> dict[Path, str]:
    """What each is called; with its path where that would not tell them apart."""
    names = [run.name for run in runs]
    return {run.path: run.name if names.count(run.name) == 1 else f"{run.name} in {run.path.parent}" for run in runs}


def _check_same(runs: list[Scored]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.path.resolve() == first.path.resolve():
            raise SettingsError(f"{run.path}: named twice; a comparison needs two evaluations")
        only_here, only_there = set(run.images) - set(first.images), set(first.images) - set(run.images)
        if only_here or only_there:
            raise SettingsError(
                f"{run.path} and {first.path} are not of the same images: {len(only_here)} are only in the one, "
                f"{len(only_there)} only in the other. Evaluate both on the same rows, read in the same way"
            )
        if run.summary.get("protocol") != first.summary.get("protocol"):
            raise SettingsError(f"{run.path} and {first.path} were scored by different protocols")
