"""Slices of a volume along an anatomical axis, and a stack of slices back in the order of the file.

Pictures are shown as radiologists look at them: the patient's right is on the left of axial and coronal slices, front
is up in axial ones, head is up in coronal and sagittal ones.
"""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

from promise_seg.arrays import Array
from promise_seg.errors import ImageError
from promise_seg.vocabulary import Axis

_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""The quarter turns to the left, then whether to flip horizontally, for each orientation of EXIF and TIFF."""
_DIRECTIONS = {Axis.AXIAL: "SPL", Axis.CORONAL: "PIL", Axis.SAGITTAL: "LIP"}
"""The directions of slices, rows and columns: L(eft), P(osterior), S(uperior), I(nferior)."""
_ACROSS = (Axis.SAGITTAL, Axis.CORONAL, Axis.AXIAL)
"""The slices whose normal is nearest to the first, second or third axis of RAS+."""

FARTHEST_MM, _LARGEST_MM = 1e9, 1e5
"""The most that is taken for a distance from the origin, and for the size of a voxel."""
_LEAST_VOLUME = 1e-6
"""The least volume that unit vectors along the axes span, if they are directions."""


def is_size(size_mm: float) -> bool:
    """Whether a number can be the size of a voxel: above 0, finite, and below 100 m."""
    return bool(np.isfinite(size_mm)) and 0 < size_mm <= _LARGEST_MM


def is_place(affine: npt.NDArray[np.float64]) -> bool:
    """Whether an affine (4, 4), in millimetres, says where voxels lie: with finite numbers, and axes that span space.

    What does not is taken for no geometry at all, never for an error: values are read, and a note says so.
    """
    if not np.isfinite(affine).all() or np.abs(affine[:3, 3]).max() > FARTHEST_MM:
        return False
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not all(is_size(float(size)) for size in sizes):
        return False
    return bool(abs(np.linalg.det(affine[:3, :3] / sizes)) > _LEAST_VOLUME)


def upright(array: Array, orientation: int) -> Array:
    """Turn a picture (H, W[, 3]) upright, as its EXIF or TIFF orientation says; 1 and unknown ones change nothing."""
    turns, mirror = _TURNS.get(orientation, (0, False))
    turned = np.rot90(array, turns)
    return turned[:, ::-1] if mirror else turned


def lies_on_its_side(orientation: int) -> bool:
    """Whether turning a picture upright makes its rows the columns, by an orientation as EXIF and TIFF number them."""
    return _TURNS.get(orientation, (0, False))[0] % 2 == 1


def _moved(array: Array, start: npt.NDArray, end: npt.NDArray) -> Array:
    return nib.orientations.apply_orientation(array, nib.orientations.ornt_transform(start, end))


@dataclass(frozen=True, eq=False)
class SliceFrame:
    """The map from the array of a file (I, J, K[, 3]) to slices (N, H, W[, 3]).

    Args:
        path: of the file, for messages.
        shape: of its array, the three axes of space.
        affine: (4, 4), from indices of the array to millimetres in RAS+ (nibabel's convention).
        axis: what to cut across; ``auto`` takes the array's first axis as it is.
    """

    path: Path
    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]
    axis: Axis

    def _orientation(self) -> npt.NDArray:
        with np.errstate(all="ignore"):
            found = None if not np.isfinite(self.affine).all() else nib.orientations.io_orientation(self.affine)
        if found is None or np.isnan(found).any():
            raise ImageError(f"{self.path}: its affine is degenerate, so that its orientation cannot be told")
        return found

    def _directions(self) -> npt.NDArray:
        return nib.orientations.axcodes2ornt(tuple(_DIRECTIONS[self.axis]))

    @property
    def plane(self) -> Axis:
        """The anatomical axis that the slices are cut across; of oblique ones the nearest.

        Raises:
            ImageError: if the affine tells no orientation.
        """
        return _ACROSS[int(self._orientation()[0, 0])] if self.axis == Axis.AUTO else self.axis

    def slice_of(self, other: "SliceFrame", number: int, plane: Array) -> tuple[Array, int, int]:
        """Find the place of a slice of the same array, cut across another axis, in the slices (N, H, W) of this frame.

        Args:
            other: the frame of that slice.
            number: of the slice there.
            plane: its values (H', W').

        Returns:
            The values as an array of three axes in the order and direction of this frame's, one of which has the length
            1; which one, and the place along it.

        Raises:
            ImageError: if the affine tells no orientation.
        """
        start, end = (one._orientation() if one.axis == Axis.AUTO else one._directions() for one in (other, self))
        axis, direction = (int(value) for value in nib.orientations.ornt_transform(start, end)[0])
        place = number if direction > 0 else self.counts[axis] - 1 - number
        return _moved(plane[None], start, end), axis, place

    @property
    def counts(self) -> tuple[int, int, int]:
        """The numbers of slices, rows and columns."""
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

    def like_this(self, other: "SliceFrame", array: Array) -> Array:
        """The array of another file of the same space, such as a mask, in the order of this one's.

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

    def turned_like_this(self, other: "SliceFrame", array: Array) -> tuple[Array, npt.NDArray[np.float64]]:
        """The array of another file with its axes in the order and direction of this one's, and its affine then."""
        start, end = other._orientation(), self._orientation()
        change = nib.orientations.ornt_transform(start, end)
        return _moved(array, start, end), other.affine @ nib.orientations.inv_ornt_aff(change, other.shape)


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
