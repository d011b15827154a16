"""Volumes in memory as one array, cut along an anatomical axis if their position is known."""

from functools import cached_property
from pathlib import Path

from promise_seg.arrays import Array, Float64Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.channel import unchosen
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.source import Source
from promise_seg.vocabulary import Axis, OutputFormat


class ArrayVolume(Source):
    """The base class of formats that store a volume as one array.

    A subclass reads its file, then calls :meth:`_place` if the file has an affine, otherwise :meth:`_leave_as_stored`.
    The last axis of a 4-D array is that of colours, or of channels if ``several_channels`` is not empty.
    """

    is_volume = True

    def _place(self, path: Path, array: Array, affine: Float64Array, axis: Axis) -> None:
        """Cut a volume (I, J, K[, C]) along an axis, by default axially; ``affine`` gives millimetres in RAS+.

        Raises:
            ImageError: if the affine has no valid orientation.
        """
        self.path, self._array = path, array
        self.slices_have_places = self.is_oriented = self.columns_first = True
        self.frame = SliceFrame(path, array.shape[:3], affine, Axis.AXIAL if axis == Axis.AUTO else axis)
        self._slices = self.frame.to_slices(array)
        self.spacing = self.frame.spacing[1:]

    def _leave_as_stored(self, path: Path, array: Array, spacing: tuple[float, float] | None, axis: Axis) -> None:
        """Take an array (slice, row, column[, C]) as it is; ``spacing`` is that of rows and columns in mm, if known.

        Raises:
            ImageError: if an axis is given for a volume, whose orientation is unknown.
        """
        if self.is_volume:
            refuse_axis(path, axis)
        self.path, self._array, self._slices, self.spacing = path, array, array, spacing

    def __len__(self) -> int:
        return int(self._slices.shape[0])

    @cached_property
    def array(self) -> Array:
        if self.several_channels:
            raise unchosen(self, of_mask=True)
        return self._array

    def values(self, index: int) -> Array:
        if self.several_channels:
            raise unchosen(self)
        return self._slices[index]

    def channel_values(self, index: int, channel: int) -> Array:
        values = self._slices[index]
        return values if values.ndim == 2 else values[..., channel]

    def as_stored(self, index: int) -> Array:
        if self.several_channels:
            raise unchosen(self, of_mask=True)
        return self.values(index)

    def output_formats(self) -> list[OutputFormat]:
        return super().output_formats() if self.frame is None else [OutputFormat.NIFTI]

    def differs_by(self, index: int) -> dict[str, object]:
        return super().differs_by(index) if self.frame is None else {"slice": index, "axis": str(self.frame.axis)}


def refuse_axis(path: Path, axis: Axis) -> None:
    """Refuse to cut a stack without a position along an anatomical axis.

    Raises:
        ImageError: if ``axis`` is not ``auto``.
    """
    if axis != Axis.AUTO:
        raise ImageError(
            f"{path}: has no patient orientation, so it cannot be sliced along the {axis} axis. Leave --axis "
            "out to take its slices as stored"
        )
