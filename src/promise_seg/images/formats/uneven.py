"""Slices with known positions at unequal distances, and the masks that belong to them.

No affine, as NIfTI and NRRD files require, can describe their positions, so masks are paired slice by slice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array, Float64Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.vocabulary import Axis

_SAME_STEP = 0.05
"""The largest relative difference between two distances that count as equal, as in ``stack_affine``."""


@dataclass(frozen=True, eq=False)
class UnevenStack:
    """Slices that are parallel, but not evenly stacked.

    Args:
        frame: frame of the slices, as acquired, as if all distances were the usual one.
        origins: positions of their first pixels, (N, 3), in mm, RAS+.
        words: description of the uneven distance, with the files, for messages.
    """

    frame: SliceFrame
    origins: Float64Array
    words: str

    @classmethod
    def of(
        cls, path: Path, shape: tuple[int, int], first: Float64Array, origins: Float64Array, names: Sequence[str]
    ) -> "UnevenStack":
        """Create the stack from the shape (H, W), the affine of the first slice, and the names of files or frames."""
        steps = np.diff(origins, axis=0)
        normal = np.cross(first[:3, 1], first[:3, 2])
        heights = np.abs(steps @ (normal / np.linalg.norm(normal)))
        usual = int(np.argsort(heights, kind="stable")[(len(heights) - 1) // 2])
        odd = int(np.linalg.norm(steps - steps[usual], axis=1).argmax())
        nominal = first.copy()
        nominal[:3, 0] = steps[usual]
        aside = np.linalg.norm(steps[odd] - steps[usual] * heights[odd] / heights[usual])
        shifted = f", shifted aside by {aside:.2f} mm," if aside >= 0.01 else ""
        words = (
            f"its slices are not evenly stacked: {heights[usual]:.2f} mm from {names[usual]} to {names[usual + 1]}, "
            f"but {heights[odd]:.2f} mm{shifted} from {names[odd]} to {names[odd + 1]}"
        )
        return cls(SliceFrame(path, (len(origins), *shape), nominal, Axis.AUTO), origins, words)

    def labels_of(self, mask: SliceFrame, array: Array) -> Array:
        """Return the slice of a mask (I, J, K) for each slice of this stack: (N, H, W).

        Slices are paired by position, if the mask has a slice at each position. Otherwise they are paired by number,
        because programs save such a series as if it were evenly spaced: the mask must then have as many slices, its
        first slice at the same position, and the usual or the mean distance.

        Raises:
            ImageError: if neither is possible; the message states the distances of both.
        """
        moved, order = self._paired(mask, array)
        return moved if order is None else moved[order]

    def is_paired_by_number(self, mask: SliceFrame, array: Array) -> bool:
        """Whether :meth:`labels_of` pairs the slices of a mask by number, because their positions differ.

        Raises:
            ImageError: see :meth:`labels_of`.
        """
        return self._paired(mask, array)[1] is None

    def _paired(self, mask: SliceFrame, array: Array) -> tuple[Array, Array | None]:
        """Return a mask turned like this stack, and its slice number for each slice; ``None`` if paired by number."""
        moved, affine = self.frame.turned_like_this(mask, array)
        count, height, width = self.frame.shape
        if moved.shape[1:3] != (height, width):
            raise ImageError(
                f"{mask.path} has slices of {moved.shape[2]} x {moved.shape[1]} pixels but its image {self.frame.path} "
                f"of {width} x {height}. Both must have the same pixels"
            )
        starts = affine[:3, 3] + np.arange(len(moved))[:, None] * affine[:3, 0]
        apart = self._apart(starts, affine)
        near = apart <= self._half_a_voxel
        nearest = apart.argmin(1)
        if near[np.arange(count), nearest].all() and len(set(nearest.tolist())) == count:
            return moved, nearest
        if len(moved) == count and near[0, 0] and self._is_made_of_it(affine[:3, 0]):
            return moved, None
        raise ImageError(
            f"{mask.path}: its slices cannot be matched with those of its image {self.frame.path}. Of the image, "
            f"{self.words}; the mask has {len(moved)} slices, {np.linalg.norm(affine[:3, 0]):.2f} mm apart, for "
            f"{count}. Save the mask with one slice for each of the image, or as a DICOM segmentation"
        )

    def lies_like(self, other: "UnevenStack") -> bool:
        """Whether the slices of another series, such as a mask, have the same positions, to half a voxel."""
        if other.frame.shape != self.frame.shape:
            return False
        return bool((self._apart(other.origins, other.frame.affine).diagonal() <= self._half_a_voxel).all())

    @property
    def _half_a_voxel(self) -> float:
        return float(np.linalg.norm(self.frame.affine[:3, :3], axis=0).min()) / 2

    def _apart(self, starts: Float64Array, affine: Float64Array) -> Float64Array:
        """Return the largest corner distance between each slice and each slice of a mask, in mm: (N, mask slices)."""
        ends = [(row, column) for row in (0, self.frame.shape[1] - 1) for column in (0, self.frame.shape[2] - 1)]
        turned = np.array(ends, np.float64) @ (affine[:3, 1:3] - self.frame.affine[:3, 1:3]).T
        apart = starts[None, :, None] - self.origins[:, None, None] + turned
        return np.asarray(np.linalg.norm(apart, axis=-1).max(-1), np.float64)

    def _is_made_of_it(self, step: Float64Array) -> bool:
        mean = (self.origins[-1] - self.origins[0]) / (len(self.origins) - 1)
        known = (self.frame.affine[:3, 0], mean)
        return any(np.linalg.norm(step - one) <= _SAME_STEP * np.linalg.norm(one) for one in known)
