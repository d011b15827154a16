"""Volumes that lie in space by an affine, held in memory and cut along an anatomical axis."""

from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promise_seg.arrays import Array
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.source import Source
from promise_seg.vocabulary import Axis, OutputFormat


class PlacedVolume(Source):
    """The base class of formats with an affine: a subclass reads its file, then calls :meth:`_place`."""

    is_volume = True
    slices_have_places = True
    is_oriented = True
    columns_first = True
    frame: SliceFrame

    def _place(self, path: Path, array: Array, affine: npt.NDArray[np.float64], axis: Axis) -> None:
        """Cut a volume (I, J, K[, 3]) along an axis, by default axially; ``affine`` gives millimetres in RAS+.

        Raises:
            ImageError: if the affine tells no orientation.
        """
        self.path, self._array = path, array
        self.frame = SliceFrame(path, array.shape[:3], affine, Axis.AXIAL if axis == Axis.AUTO else axis)
        self._slices = self.frame.to_slices(array)
        self.spacing = self.frame.spacing[1:]

    def __len__(self) -> int:
        return int(self._slices.shape[0])

    @cached_property
    def array(self) -> Array:
        return self._array

    def values(self, index: int) -> Array:
        return self._slices[index]

    def output_formats(self) -> list[OutputFormat]:
        return [OutputFormat.NIFTI]

    def differs_by(self, index: int) -> dict[str, object]:
        return {"slice": index, "axis": str(self.frame.axis)}
