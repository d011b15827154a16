"""The mean Dice by which masks are chosen on validation rows: of images, and of whole volumes where rows are slices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import BoolArray
from promise_seg.assessment.metrics import overlap_scores
from promise_seg.assessment.volume_slices import slice_key, volumes_to_join
from promise_seg.dataset.checks import CheckedRow


class Overlap(NamedTuple):
    """The numbers of pixels in both masks of a row, in the predicted one, and in the true one."""

    hits: int
    found: int
    there: int

    @staticmethod
    def of(mask: BoolArray, truth: BoolArray) -> "Overlap":
        """Count the pixels of two masks (H, W)."""
        return Overlap(int(np.count_nonzero(mask & truth)), int(np.count_nonzero(mask)), int(np.count_nonzero(truth)))


class Scored:
    """Rows in groups that are scored together: the slices of a volume, and each other image by itself.

    Args:
        rows: of images and slices.
        as_volumes: whether slices of one volume are scored as one mask in 3-D; otherwise each by itself.
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
        """Return the mean over images and volumes.

        Args:
            overlaps: of all rows, in their order.
        """
        sums = [np.sum([overlaps[number] for number in group], 0).tolist() for group in self._groups]
        return float(np.mean([overlap_scores(*one)["dice"] for one in sums]))
