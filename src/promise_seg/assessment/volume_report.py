"""Write and read the scores of whole volumes: one line for each, and means with their intervals."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from promise_seg.assessment.measuring import Tolerance
from promise_seg.assessment.statistics import by_group, mean_interval
from promise_seg.assessment.summary import VolumeSummary
from promise_seg.assessment.volumes import RULE_FOR_EMPTY_VOLUMES, VOLUME_MEASURES, VolumeScore
from promise_seg.files import write_text


def volumes_path(table: Path) -> Path:
    """Return the path of the scores of volumes, beside those of images (``scores_*.csv``)."""
    return table.with_name(table.name.replace("scores_", "volumes_", 1))


def summarise_volumes(scores: Sequence[VolumeScore], tolerance: Tolerance, seed: int) -> VolumeSummary:
    """Return means over volumes, and over patients, with intervals that resample patients.

    Args:
        scores: of all volumes, at least one.
        tolerance: of the surface Dice, in mm.
        seed: of the intervals.
    """
    mean, interval, of_groups = {}, {}, {}
    for name in VOLUME_MEASURES:
        having = [one for one in scores if name in one.measures]
        if not having:
            continue
        values, groups = [one.measures[name] for one in having], [one.group for one in having]
        found = mean_interval(values, groups, seed=seed)
        sums, sizes = by_group(np.asarray(values, np.float64), groups)
        mean[name], interval[name] = round(found.mean, 6), found.ends
        of_groups[name] = round(float((sums / sizes).mean()), 6)
    return VolumeSummary(
        volumes=len(scores),
        groups=len({one.group for one in scores}),
        slices=sum(len(one.rows) for one in scores),
        slices_with_empty_truth=sum(row.foreground_pixels == 0 for one in scores for row in one.rows),
        volumes_with_empty_truth=sum(not one.has_truth for one in scores),
        volumes_with_empty_prediction=sum(not one.has_prediction for one in scores),
        volumes_without_distances=sum(not one.has_distances for one in scores),
        tolerance=str(tolerance),
        rule_for_nothing=RULE_FOR_EMPTY_VOLUMES,
        mean=mean,
        interval=interval,
        mean_of_groups=of_groups,
    )


def write_volumes(path: Path, scores: Sequence[VolumeScore], prompts: str) -> None:
    """Write ``volumes_<prompts>.csv``; distances are empty where the distance between slices is not known."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["image", "split", "group", "image_sha256", "truth_sha256", "prompts", "first_slice", "last_slice",
         *VOLUME_MEASURES]
    )  # fmt: skip
    for one in scores:
        row = one.rows[0].row
        values = ["" if name not in one.measures else f"{one.measures[name]:.6f}" for name in VOLUME_MEASURES]
        ends = one.rows[0].index, one.rows[-1].index
        writer.writerow([one.name, row.split, one.group, *one.hashes(), prompts, *ends, *values])
    write_text(path, text.getvalue())
