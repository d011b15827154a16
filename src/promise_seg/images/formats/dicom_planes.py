"""The positions of the frames of DICOM files, to match the frames of two files."""

from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.arrays import Float64Array
from promise_seg.images.formats.dicom_faults import PARSE_ERRORS


class Plane(NamedTuple):
    """The position of a frame.

    Args:
        space: UID of the frame of reference: coordinates of one patient in one position.
        corners: centres of the corner pixels, (4, 3), in mm, LPS+.
        pixel: shorter side of a pixel, in mm.
    """

    space: str
    corners: Float64Array
    pixel: float


def macro(dataset: Dataset, index: int, name: str) -> list[Dataset]:
    """Return the items of a sequence for a frame: its own, or those shared by all frames."""
    own = (dataset.get("PerFrameFunctionalGroupsSequence") or [])[index : index + 1]
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    return next((list(group[name].value) for group in (*own, *shared) if group.get(name)), [])


def plane_of(dataset: Dataset, index: int) -> Plane | None:
    """Return the position of a frame, or of an image of one frame; ``None`` if the file does not state it.

    Source: DICOM PS3.3, C.7.6.2.1.1.
    """
    space, geometry = str(dataset.get("FrameOfReferenceUID") or ""), geometry_of(dataset, index)
    if geometry is None or not space:
        return None
    position, (across, down), spacing = geometry
    ends = [(row, column) for row in (0, int(dataset.Rows) - 1) for column in (0, int(dataset.Columns) - 1)]
    corners = np.stack([position + down * spacing[0] * row + across * spacing[1] * column for row, column in ends])
    return Plane(space, corners, float(spacing.min()))


def geometry_of(dataset: Dataset, index: int) -> tuple[Float64Array, Float64Array, Float64Array] | None:
    """Return the position (3,), the directions of rows and columns (2, 3) and the spacing (2,) of a frame.

    ``None`` if the file does not state them as finite numbers, or the spacing is not positive.
    """
    facts = []
    for sequence, name in (
        ("PlanePositionSequence", "ImagePositionPatient"),
        ("PlaneOrientationSequence", "ImageOrientationPatient"),
        ("PixelMeasuresSequence", "PixelSpacing"),
    ):
        facts.append((macro(dataset, index, sequence) or [dataset])[0].get(name))
    try:
        position, orientation, spacing = (np.array([float(v) for v in fact], np.float64) for fact in facts)
        found = position.reshape(3), orientation.reshape(2, 3), spacing.reshape(2)
    except PARSE_ERRORS:
        return None
    is_sound = all(np.isfinite(values).all() for values in found) and found[2].min() > 0
    return found if is_sound else None


def pixels_apart(slices: list[Plane | None], frames: list[Plane | None]) -> Float64Array:
    """Return the largest corner distance between each slice and each frame, in pixels of the slice.

    Shape: (slices, frames); infinite without a common frame of reference.
    """
    apart = np.full((len(slices), len(frames)), np.inf)
    corners = np.array([np.zeros((4, 3)) if frame is None else frame.corners for frame in frames])
    spaces = np.array(["" if frame is None else frame.space for frame in frames])
    for row, plane in zip(apart, slices, strict=True):
        if plane is not None:
            same = spaces == plane.space
            row[same] = np.linalg.norm(corners[same] - plane.corners, axis=-1).max(-1) / plane.pixel
    return apart
