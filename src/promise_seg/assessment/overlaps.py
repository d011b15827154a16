"""The mean Dice by which masks are chosen on validation rows, over images and, where rows are slices, over volumes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import BoolArray
from promise_seg.assessment.metrics import overlap_scores
from promise_seg.assessment.volume_slices import slice_key, volumes_to_join
from promise_seg.dataset.checks import CheckedRow


class Overlap(NamedTuple):
    """The numbers of pixels in both masks of a row, in the predicted mask, and in the true mask."""

    hits: int
    found: int
    there: int

    @staticmethod
    def of(mask: BoolArray, truth: BoolArray) -> "Overlap":
        """Count the pixels of a predicted mask and the ground truth, both (H, W)."""
        return Overlap(int(np.count_nonzero(mask & truth)), int(np.count_nonzero(mask)), int(np.count_nonzero(truth)))


class ScoredRows:
    """Rows grouped for scoring: the slices of a volume together, and all other images separately.

    Args:
        rows: rows of images and slices.
        as_volumes: whether the slices of a volume are scored as one mask in 3-D; otherwise each slice separately.
    """

    def __init__(self, rows: Sequence[CheckedRow], *, as_volumes: bool) -> None:
        whole = [row for row in rows if row.tile is None] if as_volumes else []
        volumes = volumes_to_join(whole)
        of_slice = {slice_key(row): number for number, one in enumerate(volumes) for row in one.rows}
        together: dict[object, dict[object, int]] = {}
        for number, row in enumerate(rows):
            volume = None if row.tile is not None else of_slice.get(slice_key(row))
            if volume is None:
                together["image", number] = {number: number}
            else:
                together.setdefault(("volume", volume), {}).setdefault(slice_key(row), number)
        self._groups = [list(members.values()) for members in together.values()]

    @property
    def has_volumes(self) -> bool:
        """Whether some rows are scored together."""
        return any(len(group) > 1 for group in self._groups)

    def mean_dice(self, overlaps: Sequence[Overlap]) -> float:
        """Return the mean Dice over images and volumes.

        Args:
            overlaps: the pixel counts of all rows, in the order of the rows.
        """
        sums = [np.sum([overlaps[number] for number in group], 0).tolist() for group in self._groups]
        return float(np.mean([overlap_scores(*one)["dice"] for one in sums]))
