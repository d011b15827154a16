"""NRRD volumes and images: ``.nrrd``, or a header ``.nhdr`` with a data file, as 3D Slicer and ITK write them.

Source: https://teem.sourceforge.net/nrrd/format.html
"""

from pathlib import Path

import numpy as np

from promise_seg.arrays import Array, Float64Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.companions import VolumeWithHeader, faults_of
from promise_seg.images.formats.notes import NO_PLACE
from promise_seg.images.formats.nrrd_files import Header, data_file, read_header, read_values
from promise_seg.images.formats.orientation import is_place, is_size
from promise_seg.images.formats.stacking import are_upright
from promise_seg.vocabulary import Axis, OutputFormat

_TO_RAS = {"right-anterior-superior": (1, 1, 1), "left-anterior-superior": (-1, 1, 1),
           "left-posterior-superior": (-1, -1, 1)}  # fmt: skip
_SIGNS = _TO_RAS | {"".join(word[0] for word in name.split("-")): signs for name, signs in _TO_RAS.items()}
"""The signs that convert coordinates of a space to RAS+. Other spaces do not define the patient's orientation."""
_MILLIMETRES = {"": 1.0, "mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "um": 1e-3, "µm": 1e-3, "cm": 10.0, "m": 1e3}
"""Millimetres per unit of a header. Coordinates without a unit are in millimetres, as in ITK."""
_COLOURS = ("rgb-color", "rgba-color", "3-color", "4-color", "vector")
_OF_SPACE = ("domain", "space", "none", "???")
"""The kinds of spatial axes, which are used if the header has no directions."""
_KIND = "an NRRD file"
_GEOMETRY = ("space", "spacedimension", "spacedirections", "spaceorigin", "spaceunits", "measurementframe")
_CUT_ACROSS = (Axis.SAGITTAL, Axis.CORONAL, Axis.AXIAL)
"""The axis of a slice whose normal is nearest to the first, second or third axis of RAS+."""


class NrrdVolume(VolumeWithHeader):
    """A volume cut into slices along ``axis``, by default axially, or an image of two dimensions; held in memory.

    If the header does not define the patient's orientation, slices follow the last axis of the file and columns the
    first, and slices are matched with those of a mask by number. Colours are an axis of 3 or 4 bytes; alpha is dropped.
    Another axis is that of channels; axes of length 1 are dropped, and a second longer axis is refused.
    """

    kind = "nrrd"
    suffixes = (".nrrd", ".nhdr")
    signatures = ((0, b"NRRD000"),)

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        with faults_of(path, _KIND):
            self.header, start = read_header(path)
            data = data_file(path, self.header)
            self._files = [path] if data is None else [path, data]
            values = read_values(path, self.header, start)
            self.space_axes, array, channels = _arranged(path, self.header, values)
            self.several_channels = ("",) * channels
            directions = _directions(self.header, self.space_axes)
            affine = _affine(self.header, directions)
            if affine is not None and not is_place(affine):
                affine = None
                self.notes = (f"{path}: its space directions or origin are {NO_PLACE}",)
            if affine is None:
                self.is_volume = len(self.space_axes) == 3
                across, down, *between = _lengths(self.header, directions, self.space_axes)
                known = None not in (across, down, *between) and (directions is None or are_upright(directions))
                self.slice_spacing = between[0] if between and known else None
                spacing = None if across is None or down is None else (down, across)
                if self.notes:  # so that files written for it do not repeat them
                    self.header = {name: value for name, value in self.header.items() if name not in _GEOMETRY}
                self._leave_as_stored(path, array.swapaxes(0, 2), spacing, axis)
            else:
                self._place(path, array, affine, axis if len(self.space_axes) == 3 else _plane(affine))

    @classmethod
    def files_of(cls, path: Path) -> list[Path]:
        """Return the file, and its data file if the header names one."""
        with faults_of(path, _KIND):
            data = data_file(path, read_header(path)[0])
        return [path] if data is None else [path, data]

    def output_formats(self) -> list[OutputFormat]:
        return [OutputFormat.NRRD]


def _arranged(path: Path, header: Header, values: Array) -> tuple[list[int], Array, int]:
    """Return the 2 or 3 spatial axes of a file, its values (I, J, K[, C]), and the number of non-colour channels."""
    kinds = [str(kind).lower() for kind in header.get("kinds", ["space"] * values.ndim)]
    rows = header.get("spacedirections")
    if len(kinds) != values.ndim or (rows is not None and len(rows) != values.ndim):
        raise ImageError(f"{path}: damaged: its header does not have a kind and a direction for each dimension")
    is_space = [kind in _OF_SPACE for kind in kinds] if rows is None else [not np.isnan(row).all() for row in rows]
    space = [axis for axis in range(values.ndim) if is_space[axis]]
    others = [axis for axis in range(values.ndim) if not is_space[axis]]
    while len(space) > 3 and values.shape[space[-1]] == 1:
        others.append(space.pop())
    channels = [axis for axis in others if values.shape[axis] > 1]
    if len(channels) > 1:
        sizes = " x ".join(str(values.shape[axis]) for axis in channels)
        raise ImageError(f"{path}: has {sizes} values for each voxel; expected one axis of channels")
    are_colours = [kinds[a] in _COLOURS and values.shape[a] in (3, 4) and values.dtype == np.uint8 for a in channels]
    if len(space) not in (2, 3):
        found = f"{len(space)} dimension{'s' * (len(space) != 1)} ({' x '.join(map(str, values.shape))})"
        raise ImageError(f"{path}: has {found}; expected 2 or 3. Save the wanted volume as a separate file")
    dropped = [axis for axis in others if values.shape[axis] == 1]
    array = values.transpose(*space, *dropped, *channels)
    shape = [values.shape[axis] for axis in space] + [1] * (3 - len(space))
    if are_colours == [True]:
        return space, array.reshape(*shape, -1, order="F")[..., :3], 0
    array = array.reshape([*shape, *(values.shape[axis] for axis in channels)], order="F")
    array = array.astype(np.float32) if array.dtype == np.float64 else array
    return space, array, array.shape[3] if channels else 0


def _directions(header: Header, space: list[int]) -> Float64Array | None:
    """Return a vector in mm for each spatial axis, (axes, coordinates); ``None`` if vectors or units are unknown."""
    rows, units = header.get("spacedirections"), header.get("spaceunits", [])
    factors = [_MILLIMETRES.get(str(unit).lower()) for unit in units]
    if rows is None or None in factors:
        return None
    vectors = np.asarray(rows, np.float64)[space]
    return vectors * np.array(factors, np.float64) if factors else vectors


def _affine(header: Header, directions: Float64Array | None) -> Float64Array | None:
    """Return the affine (4, 4) from (I, J, K) to mm in RAS+; ``None`` without the patient's orientation.

    The third axis of an image of two dimensions is its normal, 1 mm long.
    """
    signs = _SIGNS.get(str(header.get("space")).lower())
    if signs is None or directions is None or directions.shape[1] != 3:
        return None
    if len(directions) == 2:
        normal = np.cross(*directions)
        directions = np.vstack([directions, normal / (np.linalg.norm(normal) or 1)])
    origin = np.asarray(header.get("spaceorigin", (0, 0, 0)), np.float64)
    factors = [_MILLIMETRES[str(unit).lower()] for unit in header.get("spaceunits", [])]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions.T, origin * factors if factors else origin
    with np.errstate(all="ignore"):
        return np.asarray(np.diag([*signs, 1.0]) @ affine)


def _lengths(header: Header, directions: Float64Array | None, space: list[int]) -> list[float | None]:
    """Return the voxel spacing along the 2 or 3 spatial axes in mm; ``None`` for each that the header lacks."""
    if directions is not None:
        with np.errstate(all="ignore"):
            found = np.linalg.norm(directions, axis=1)
    elif "spacings" in header and "spacedirections" not in header:
        units = header.get("units", [""] * header["dimension"])
        factors = [_MILLIMETRES.get(str(units[axis]).lower(), np.nan) for axis in space]
        found = np.asarray(header["spacings"], np.float64)[space] * factors
    else:
        return [None] * len(space)
    return [float(length) if is_size(float(length)) else None for length in found]


def _plane(affine: Float64Array) -> Axis:
    """Return the axis along which a single slice is cut, by its normal."""
    return _CUT_ACROSS[int(np.argmax(np.abs(affine[:3, 2])))]
