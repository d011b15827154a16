"""Cut a volume into slices along an anatomical axis, and convert a stack of slices back to the order of the file.

Slices are in radiological orientation: the patient's right is on the left of axial and coronal slices, anterior is up
in axial slices, and the head is up in coronal and sagittal slices.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from promise_seg.arrays import Array, Float64Array
from promise_seg.errors import ImageError
from promise_seg.vocabulary import Axis

_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""Counter-clockwise quarter turns, then whether to flip horizontally, for each orientation of EXIF and TIFF."""
_DIRECTIONS = {Axis.AXIAL: "SPL", Axis.CORONAL: "PIL", Axis.SAGITTAL: "LIP"}
"""The directions of slices, rows and columns: L(eft), P(osterior), S(uperior), I(nferior)."""
_ACROSS = (Axis.SAGITTAL, Axis.CORONAL, Axis.AXIAL)
"""The axis of slices whose normal is nearest to the first, second or third axis of RAS+."""

FARTHEST_MM, _LARGEST_MM = 1e9, 1e5
"""The greatest plausible distance from the origin, and the greatest plausible voxel size."""
_LEAST_VOLUME = 1e-6
"""The least volume spanned by unit vectors along the axes if these are valid directions."""


def is_size(size_mm: float) -> bool:
    """Whether a number can be the size of a voxel: finite, above 0, and at most 100 m."""
    return bool(np.isfinite(size_mm)) and 0 < size_mm <= _LARGEST_MM


def is_place(affine: Float64Array) -> bool:
    """Whether an affine (4, 4), in millimetres, is valid: its numbers are finite, and its axes span space.

    An invalid affine is ignored with a note, not treated as an error: the values are read without geometry.
    """
    if not np.isfinite(affine).all() or np.abs(affine[:3, 3]).max() > FARTHEST_MM:
        return False
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not all(is_size(float(size)) for size in sizes):
        return False
    return bool(abs(np.linalg.det(affine[:3, :3] / sizes)) > _LEAST_VOLUME)


def upright(array: Array, orientation: int) -> Array:
    """Turn an image (H, W[, 3]) upright by its EXIF or TIFF orientation; 1 and unknown values change nothing."""
    turns, mirror = _TURNS.get(orientation, (0, False))
    turned = np.rot90(array, turns)
    return turned[:, ::-1] if mirror else turned


def lies_on_its_side(orientation: int) -> bool:
    """Whether turning an image upright swaps rows and columns, by its EXIF or TIFF orientation."""
    return _TURNS.get(orientation, (0, False))[0] % 2 == 1


def _moved(array: Array, start: Array, end: Array) -> Array:
    return nib.orientations.apply_orientation(array, nib.orientations.ornt_transform(start, end))


@dataclass(frozen=True, eq=False)
class SliceFrame:
    """The map from the array of a file (I, J, K[, 3]) to slices (N, H, W[, 3]).

    Args:
        path: path of the file, for messages.
        shape: shape of its array along the three spatial axes.
        affine: affine (4, 4) from indices of the array to millimetres in RAS+ (nibabel's convention).
        axis: axis to cut along; ``auto`` takes slices along the array's first axis, unchanged.
    """

    path: Path
    shape: tuple[int, int, int]
    affine: Float64Array
    axis: Axis

    def _orientation(self) -> Array:
        with np.errstate(all="ignore"):
            found = None if not np.isfinite(self.affine).all() else nib.orientations.io_orientation(self.affine)
        if found is None or np.isnan(found).any():
            raise ImageError(f"{self.path}: its affine is degenerate, so that its orientation cannot be told")
        return found

    def _directions(self) -> Array:
        return nib.orientations.axcodes2ornt(tuple(_DIRECTIONS[self.axis]))

    @property
    def plane(self) -> Axis:
        """The anatomical axis along which the slices are cut; for oblique slices, the nearest one.

        Raises:
            ImageError: if the affine has no valid orientation.
        """
        return _ACROSS[int(self._orientation()[0, 0])] if self.axis == Axis.AUTO else self.axis

    def slice_of(self, other: "SliceFrame", number: int, plane: Array) -> tuple[Array, int, int]:
        """Find the place of a slice of the same array, cut along another axis, in the slices (N, H, W) of this frame.

        Args:
            other: frame of the slice.
            number: number of the slice in ``other``.
            plane: values of the slice, (H', W').

        Returns:
            The values as an array of three axes, in the order and direction of this frame; the axis that has length 1;
            and the index along this axis.
        """
        start, end = (one._orientation() if one.axis == Axis.AUTO else one._directions() for one in (other, self))
        axis, direction = (int(value) for value in nib.orientations.ornt_transform(start, end)[0])
        place = number if direction > 0 else self.counts[axis] - 1 - number
        return _moved(plane[None], start, end), axis, place

    @property
    def counts(self) -> tuple[int, int, int]:
        """The number of slices, rows and columns."""
        if self.axis == Axis.AUTO:
            return self.shape
        change = nib.orientations.ornt_transform(self._orientation(), self._directions())
        slices, rows, columns = (self.shape[axis] for axis in np.argsort(change[:, 0]))
        return slices, rows, columns

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The distances in mm between slices, rows and columns."""
        sizes = np.linalg.norm(self.affine[:3, :3], axis=0)
        if self.axis != Axis.AUTO:
            change = nib.orientations.ornt_transform(self._orientation(), self._directions())
            sizes = sizes[np.argsort(change[:, 0])]
        return float(sizes[0]), float(sizes[1]), float(sizes[2])

    def to_slices(self, array: Array) -> Array:
        """Convert (I, J, K[, 3]) in the file's order to (N, H, W[, 3])."""
        return array if self.axis == Axis.AUTO else _moved(array, self._orientation(), self._directions())

    def from_slices(self, stack: Array) -> Array:
        """Convert (N, H, W[, 3]) to (I, J, K[, 3]) in the file's order: the inverse of :meth:`to_slices`."""
        return stack if self.axis == Axis.AUTO else _moved(stack, self._directions(), self._orientation())

    def in_units_of(self, other: "SliceFrame", factor: float) -> "SliceFrame":
        """Return this frame in the units of another one, such as that of its image.

        Many programs copy an affine without its units, so the voxel size decides whether it is converted.

        Args:
            other: frame in the wanted units, of about the same voxel size.
            factor: number of those units per unit of this frame, by the files.
        """
        converted = self.affine * np.array([factor, factor, factor, 1.0])[:, None]
        volumes = [abs(np.linalg.det(affine[:3, :3])) for affine in (other.affine, self.affine, converted)]
        if factor == 1 or min(volumes) <= 0:
            return self
        wanted, own, by_units = np.log(volumes)
        return replace(self, affine=converted) if abs(by_units - wanted) < abs(own - wanted) else self

    def like_this(self, other: "SliceFrame", array: Array) -> Array:
        """Return the array of another file of the same space, such as a mask, in the voxel order of this frame.

        Raises:
            ImageError: if the two do not cover the same voxels.
        """
        moved, affine = self.turned_like_this(other, array)
        if moved.shape[:3] != self.shape:
            raise ImageError(
                f"{other.path} has {_words(other.shape)} voxels but its image {self.path} has {_words(self.shape)}. "
                "Both must cover the same voxels"
            )
        corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], np.float64)
        corners[:, :3] *= np.array(self.shape) - 1
        apart = np.linalg.norm((corners @ (affine - self.affine).T)[:, :3], axis=1).max()
        voxel = float(np.linalg.norm(self.affine[:3, :3], axis=0).min())
        if apart > voxel / 2:
            raise ImageError(
                f"{other.path} lies up to {apart:.1f} mm away from its image {self.path}, by their affines. Resample "
                "it to the image, or save it with the image's affine if the voxels do correspond"
            )
        return moved

    def turned_like_this(self, other: "SliceFrame", array: Array) -> tuple[Array, Float64Array]:
        """Return the array of another file with the axis order and directions of this frame, and its new affine."""
        start, end = other._orientation(), self._orientation()
        change = nib.orientations.ornt_transform(start, end)
        return _moved(array, start, end), other.affine @ nib.orientations.inv_ornt_aff(change, other.shape)


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
