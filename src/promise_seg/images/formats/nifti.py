"""NIfTI volumes, ``.nii`` and ``.nii.gz``. Read by ``nibabel``; their orientation is kept."""

import gzip
import logging
import zlib
from functools import cached_property
from io import BufferedIOBase
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.fileholders import FileHolder

from promise_seg.arrays import Array
from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.images.formats.limits import check_size
from promise_seg.images.formats.volume import ArrayVolume
from promise_seg.vocabulary import Axis

_MAX_START = 2**26
"""Bytes before the values: the header, and what programs write behind it."""


class NiftiVolume(ArrayVolume):
    """A volume cut into slices along ``axis``, by default axial; held in memory.

    Two dimensions are one slice; a fourth of length 1 is dropped, and a longer one refused.
    """

    kind = "nifti"
    suffixes = (".nii.gz", ".nii")
    signatures = (
        (344, b"n+1\0"), (344, b"ni1\0"), (4, b"n+2\0"), (4, b"ni2\0"),
        (0, (348).to_bytes(4, "little")), (0, (348).to_bytes(4, "big")),  # as Analyze files begin, too
    )  # fmt: skip

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        image, affine, array = _read(path)
        self.header, self.image_class = image.header, type(image)
        self.file_shape = tuple(map(int, image.header.get_data_shape()))
        self._stated = _stated_range(image.header)
        self.value_step = _step(image)
        self._place(path, array, affine, axis)

    @cached_property
    def value_range(self) -> tuple[float, float]:
        return self._stated or super().value_range


def _open(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


def _read(path: Path) -> tuple[nib.Nifti1Image, np.ndarray, Array]:
    """The file without its values, its affine, and (I, J, K[, 3]) values, scaled as the header says."""
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)  # it logs what it then raises
    try:
        with _open(path) as file:
            holders = {"header": FileHolder(str(path), file), "image": FileHolder(str(path), file)}
            head = file.read(348)
            start = head[:4]
            if head[344:348] == b"ni1\0" or head[4:8] == b"ni2\0":
                raise ImageError(f"{path}: the header of a pair (.hdr and .img); save it as one .nii file")
            file.seek(0)
            second = (540).to_bytes(4, "little") == start or (540).to_bytes(4, "big") == start
            image_class = nib.Nifti2Image if second else nib.Nifti1Image
            _check_extensions(path, file, image_class.header_class)
            image = image_class.from_file_map(holders, mmap=False)  # as a file may change while it is mapped
            shape = tuple(map(int, image.header.get_data_shape()))
            check_size(path, shape)
            while len(shape) > 3 and shape[-1] == 1:
                shape = shape[:-1]
            if len(shape) > 3:
                raise ImageError(
                    f"{path}: has {len(shape)} dimensions ({' x '.join(map(str, shape))}); expected one volume. Save "
                    "the one that is wanted by itself"
                )
            if len(shape) == 1:
                raise ImageError(f"{path}: has one dimension of length {shape[0]}; expected a slice or a volume")
            array = np.asanyarray(image.dataobj)
            return image, np.asarray(image.affine, np.float64), _plain(path, array, shape)
    except PromiseError:
        raise
    except MemoryError:
        raise ImageError(f"{path}: not enough memory to decode it") from None
    except (zlib.error, EOFError, OSError) as error:
        raise ImageError(f"{path}: damaged or truncated: {first_line(error)}. Copy it again from its source") from error
    except Exception as error:  # nibabel raises whatever its parsing runs into
        raise ImageError(f"{path}: not a NIfTI file that can be read: {first_line(error)}") from error


def _check_extensions(path: Path, file: BufferedIOBase, header_class: type[nib.Nifti1Header]) -> None:
    """Refuse what lies between header and values if it is too long: nibabel would unpack and keep it."""
    header = header_class(file.read(header_class.sizeof_hdr), check=False)
    start, at = float(header["vox_offset"]), header_class.sizeof_hdr + 4
    if not start <= _MAX_START:
        raise ImageError(f"{path}: damaged: its header says that its values begin at byte {start:.0f}")
    extended = file.read(4)[:1] not in (b"", b"\0")
    while extended and at + 16 <= start:
        file.seek(at)
        size = int(np.frombuffer(file.read(4), f"{header.endianness}i4")[0])
        if not 8 <= size <= start - at:
            raise ImageError(f"{path}: damaged: an extension of its header says that it has {size} bytes")
        at += size
    file.seek(0)


def _plain(path: Path, array: Array, shape: tuple[int, ...]) -> Array:
    """Numbers of a plain type, with three axes of space and perhaps one of colour."""
    if array.dtype.names:
        if array.dtype.names[:3] != ("R", "G", "B"):
            raise ImageError(f"{path}: holds values of an unknown kind ({array.dtype})")
        array = np.stack([array[name] for name in ("R", "G", "B")], -1)
        return array.reshape(*shape, *(1,) * (3 - len(shape)), 3)
    if np.iscomplexobj(array):
        raise ImageError(f"{path}: holds complex numbers; save their magnitude")
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        array = array.astype(np.float32)
    return array.reshape(*shape, *(1,) * (3 - len(shape)))


def _step(image: nib.Nifti1Image) -> float:
    """Return the distance between two values, where the header scales whole numbers (``scl_slope``); otherwise 0."""
    slope = float(getattr(image.dataobj, "slope", 1.0))
    is_scaled = image.get_data_dtype().kind in "iu" and np.isfinite(slope) and slope != 1
    return abs(slope) if is_scaled else 0.0


def _stated_range(header: nib.Nifti1Header) -> tuple[float, float] | None:
    """``cal_min`` and ``cal_max``, if they say anything."""
    low, high = float(header["cal_min"]), float(header["cal_max"])
    return (low, high) if np.isfinite([low, high]).all() and high > low else None
