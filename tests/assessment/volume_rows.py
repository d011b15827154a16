"""Slices of volumes as a data set has them, without files, for tests of their scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from promise_seg.assessment.volumes import VolumeScorer
from promise_seg.dataset.checks import CheckedRow
from promise_seg.dataset.manifest import Row
from promise_seg.images.formats.stacking import Stacking
from promise_seg.vocabulary import Split

SPACING = (3.0, 0.7, 0.9)


def rows_of(
    truth: np.ndarray,
    *,
    name: str = "ct.nii.gz",
    group: str = "p1",
    mask: str = "seg.nii.gz",
    spacing: tuple[float | None, float, float] | None = SPACING,
    only: Sequence[int] | None = None,
) -> list[CheckedRow]:
    """A row for each slice of a mask (D, H, W), or for ``only`` some; ``spacing`` is that of slices, rows, columns."""
    row = Row("m.csv:2", Path(name), Path(mask), Split.TEST, group)
    step, *in_plane = spacing or (None,)
    stacking = Stacking(len(truth), step, "" if step else "it does not state the distance between its slices")
    return [
        CheckedRow(
            row, f"{name}-{index}", *truth.shape[1:], int(truth[index].sum()), index=index, is_slice=True,
            labels_sha256=f"{mask}-{index}", spacing=tuple(in_plane) or None, stacking=stacking,
        )
        for index in (range(len(truth)) if only is None else only)
    ]  # fmt: skip


def scored(rows: Sequence[CheckedRow], predicted: np.ndarray, truth: np.ndarray) -> VolumeScorer:
    """A scorer that has got the masks (D, H, W) of all these rows."""
    scorer = VolumeScorer(rows)
    for row in rows:
        scorer.add(row, predicted[row.index], truth[row.index])
    return scorer


def blob(seed: int, shape: tuple[int, int, int], level: float = 0.55) -> np.ndarray:
    """A random body with a rough surface, which may touch the ends of the volume."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), (1, 2, 2))
    return np.asarray(noise > np.quantile(noise, level))
