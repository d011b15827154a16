"""Cut volumes across further axes, and prepare the slices for a model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.formats.opening import open_across
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.source import Source
from promise_seg.images.framing import ImageInFrame
from promise_seg.images.reading import Reading
from promise_seg.model import PromiseModel
from promise_seg.vocabulary import Axis
from promise_seg.volumes.stack import Stack
from promise_seg.volumes.whole_slices import are_whole

ANATOMICAL = tuple(axis for axis in Axis if axis != Axis.AUTO)
_LONGEST_SIDE = 4096
"""Longest side in pixels to which a slice is enlarged, whatever voxel size a file states."""


def parse_axes(axes: str | Sequence[str] | None) -> tuple[Axis, ...]:
    """Parse names of axes, such as ``axial,coronal``; return no axes for ``None``.

    Raises:
        SettingsError: if a name is unknown or repeated, or if fewer than two axes are named.
    """
    if axes is None:
        return ()
    if not isinstance(axes, str | Sequence):
        raise SettingsError(f"axes {axes!r}: expected a text such as 'axial,coronal', or a list of names of axes")
    words = [word.strip() for word in axes.split(",")] if isinstance(axes, str) else [str(word) for word in axes]
    given = ",".join(words)
    if unknown := [word for word in words if word not in ANATOMICAL]:
        raise SettingsError(f"--axes {given}: {unknown[0]!r} is not an axis; expected axial, coronal or sagittal")
    if len(set(words)) < 2 or len(set(words)) < len(words):
        raise SettingsError(
            f"--axes {given}: expected two or three different axes, such as axial,coronal. For a single one, leave it "
            "out: slices are cut as in training"
        )
    return tuple(axis for axis in ANATOMICAL if axis in words)


def check_axes(source: Source, reading: Reading, axes: Sequence[Axis]) -> SliceFrame:
    """Check that a volume can be cut across all axes, and return the frame of its own slices.

    Args:
        source: the volume, cut as the model reads it.
        reading: how the model reads images.
        axes: axes to cut across; see :func:`parse_axes`.

    Raises:
        ImageError: if the volume cannot be cut across one of the axes.
    """
    given = ",".join(axes)
    if not source.is_volume or source.is_in_time or source.frame is None:
        what = "is not a volume" if not source.is_volume else "does not state the orientation of the patient"
        if source.is_in_time:
            what = "has frames that follow one another in time"
        raise ImageError(f"{source.path}: {what}, so it cannot be cut across several axes. Leave --axes {given} out")
    frame, stack = source.frame, Stack.of(source)
    if stack.spacing is None:
        raise ImageError(
            f"{source.path}: {stack.lacking}, so that slices across another axis would be distorted. Leave --axes "
            f"{given} out, or state the distances in the file"
        )
    if 1 in frame.counts:
        sizes = " x ".join(map(str, frame.counts))
        raise ImageError(
            f"{source.path}: has {sizes} voxels: cut across another axis, it has slices of a single line. Leave "
            f"--axes {given} out"
        )
    if frame.plane not in axes:
        raise ImageError(
            f"{source.path}: the model sees its {frame.plane} slices, which --axes {given} leaves out. Add "
            f"{frame.plane}"
        )
    if not all(are_whole(reading, *shape) for shape in _shapes(frame)):
        raise ImageError(
            f"{source.path}: its slices are larger than a tile across one of its axes; with --axes {given} each must "
            "be seen whole. Leave --axes out, or have slices read whole with --tile none"
        )
    return frame


@dataclass(frozen=True)
class OtherCut:
    """A volume that is cut across another axis than its own slices.

    Args:
        source: the volume, opened across this axis.
        reading: how the volume is read across this axis.
        frame: frame of the slices.
    """

    source: Source
    reading: Reading
    frame: SliceFrame

    def __len__(self) -> int:
        return len(self.source)

    def framed(self, number: int, model: PromiseModel) -> ImageInFrame:
        """Read a slice, enlarge it so that its pixels are square in mm, and map it to the model frame.

        Raises:
            ImageError: if the slice cannot be read.
        """
        rgb = self.reading.rgb(self.source, number)
        height, width = _square(rgb.shape[0], rgb.shape[1], *self.frame.spacing[1:])
        if (height, width) != rgb.shape[:2]:
            rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        return ImageInFrame.of(rgb, model.sam.image_size, model.config.fit, self.reading.crop_border)


def other_cuts(source: Source, reading: Reading, axes: Sequence[Axis]) -> Iterator[OtherCut]:
    """Open a volume across each axis except that of its own slices, one after the other.

    Raises:
        ImageError: if the volume cannot be cut across one of the axes.
    """
    own = check_axes(source, reading, axes).plane
    for axis in axes:
        if axis != own:
            across = reading.model_copy(update={"axis": axis})
            opened = across.opened(open_across(source, axis))
            if opened.frame is not None:  # always true, because it has a frame across its own axis
                yield OtherCut(opened, across, opened.frame)


def _square(height: int, width: int, row_mm: float, column_mm: float) -> tuple[int, int]:
    """Return the height and width at which a slice has square pixels, as large as the shorter side of its pixels."""
    least = min(row_mm, column_mm)
    sizes = (round(height * row_mm / least), round(width * column_mm / least))
    return min(sizes[0], max(height, _LONGEST_SIDE)), min(sizes[1], max(width, _LONGEST_SIDE))


def _shapes(frame: SliceFrame) -> list[tuple[int, int]]:
    """Return the height and width of the slices across each axis, with square pixels."""
    found = []
    for axis in ANATOMICAL:
        one = SliceFrame(frame.path, frame.shape, frame.affine, axis)
        _, height, width = one.counts
        found.append(_square(height, width, *one.spacing[1:]))
    return found
