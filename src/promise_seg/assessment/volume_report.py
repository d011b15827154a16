"""Summarise and write the scores of volumes: one line per volume, and means with their intervals."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from promise_seg.assessment.measuring import Tolerance
from promise_seg.assessment.statistics import by_group, mean_interval
from promise_seg.assessment.summary import VolumeSummary
from promise_seg.assessment.volumes import HASHES, RULE_FOR_EMPTY_VOLUMES, VOLUME_MEASURES, VolumeScore
from promise_seg.storage.files import write_text


def volumes_path(table: Path) -> Path:
    """Return the path of the scores of volumes, next to the scores of images (``scores_*.csv``)."""
    return table.with_name(table.name.replace("scores_", "volumes_", 1))


def summarise_volumes(scores: Sequence[VolumeScore], tolerance: Tolerance, seed: int) -> VolumeSummary:
    """Return means over volumes and over groups (patients), with intervals that resample groups.

    Args:
        scores: the scores of all volumes, at least one.
        tolerance: the tolerance of the surface Dice, in mm.
        seed: the seed of the intervals.
    """
    mean, interval, median, of_groups = {}, {}, {}, {}
    for name in VOLUME_MEASURES:
        having = [one for one in scores if name in one.measures]
        if not having:
            continue
        values, groups = [one.measures[name] for one in having], [one.group for one in having]
        found = mean_interval(values, groups, seed=seed)
        sums, sizes = by_group(np.asarray(values, np.float64), groups)
        mean[name], interval[name] = round(found.mean, 6), found.ends
        median[name] = round(float(np.median(values)), 6)
        of_groups[name] = round(float((sums / sizes).mean()), 6)
    return VolumeSummary(
        volumes=len(scores),
        parts=sum(one.volume.is_part for one in scores),
        groups=len({one.group for one in scores}),
        slices=sum(len(one.rows) for one in scores),
        slices_with_empty_truth=sum(row.foreground_pixels == 0 for one in scores for row in one.rows),
        volumes_with_empty_truth=sum(not one.has_truth for one in scores),
        volumes_with_empty_prediction=sum(not one.has_prediction for one in scores),
        volumes_without_distances=sum(bool(one.volume.lacking) for one in scores),
        tolerance=str(tolerance),
        rule_for_nothing=RULE_FOR_EMPTY_VOLUMES,
        mean=mean,
        interval=interval,
        median=median,
        mean_of_groups=of_groups,
    )


def write_volumes(path: Path, scores: Sequence[VolumeScore], prompts: str) -> None:
    """Write ``volumes_<prompts>.csv``; measures that are not defined for a volume are left empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    facts = ("image", "split", "group", *HASHES, "prompts", "slices", "slices_of_volume")
    writer.writerow([*facts, *VOLUME_MEASURES])
    for one in scores:
        values = ["" if name not in one.measures else f"{one.measures[name]:.6f}" for name in VOLUME_MEASURES]
        whole = one.volume.slices_of_volume
        counts = len(one.rows), "" if whole is None else whole
        writer.writerow([one.name, one.split, one.group, *one.hashes(), prompts, *counts, *values])
    write_text(path, text.getvalue())
