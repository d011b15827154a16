"""NIfTI volumes, ``.nii`` and ``.nii.gz``, read by ``nibabel``; their orientation is kept."""

import gzip
import logging
import re
import zlib
from functools import cached_property
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import data_type_codes

from promise_seg.arrays import Array
from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.images.formats.limits import check_size
from promise_seg.images.formats.nifti_header import mend_place, mend_scaling, mm_per_unit
from promise_seg.images.formats.notes import in_words
from promise_seg.images.formats.volume import ArrayVolume
from promise_seg.vocabulary import Axis

_MAX_START = 2**26
"""The most bytes before the values: the header and its extensions."""
_LACKING = re.compile(r"Expected \d+ bytes, got (\d+) bytes")


class NiftiVolume(ArrayVolume):
    """A volume cut into slices along ``axis``, by default axial; held in memory.

    A file of two dimensions is one slice. A fourth dimension, or a fifth after a fourth of length 1 (vectors), is that
    of channels; other dimensions of length 1 are dropped, and longer ones are refused.
    """

    kind = "nifti"
    suffixes = (".nii.gz", ".nii")
    signatures = (
        (344, b"n+1\0"), (344, b"ni1\0"), (4, b"n+2\0"), (4, b"ni2\0"),
        (0, (348).to_bytes(4, "little")), (0, (348).to_bytes(4, "big")),  # also the start of Analyze files
    )  # fmt: skip

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        read = _read(path)
        self.header, self.image_class = read.header, read.image_class
        self.file_shape = tuple(map(int, read.header.get_data_shape()))
        if read.array.ndim == 4 and not read.header.get_data_dtype().names:
            self.file_shape, self.several_channels = read.array.shape[:3], ("",) * read.array.shape[3]
        self._stated = _stated_range(read.header)
        self.value_step = read.value_step
        self._place(path, read.array, np.asarray(read.header.get_best_affine(), np.float64), axis)
        notes = list(read.notes)
        if not read.has_sizes:
            self.spacing = None
        elif self.spacing is not None:
            factor, note = mm_per_unit(read.header, self.spacing)
            self.spacing, self.mm_per_unit = (self.spacing[0] * factor, self.spacing[1] * factor), factor
            notes += [] if note is None else [note]
        self.notes = in_words(path, notes)

    @cached_property
    def value_range(self) -> tuple[float, float]:
        return self._stated or super().value_range


def _open(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


class _Read(NamedTuple):
    """The repaired header of a file, and its scaled values (I, J, K[, C]); ``value_step`` is that of a source."""

    image_class: type[nib.Nifti1Image]
    header: nib.Nifti1Header
    array: Array
    value_step: float
    has_sizes: bool
    notes: tuple[str, ...]


def _read(path: Path) -> _Read:
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)  # it also logs the errors that it raises
    try:
        with _open(path) as file:
            head = file.read(348)
            if head[344:348] == b"ni1\0" or head[4:8] == b"ni2\0":
                raise ImageError(f"{path}: the header of a pair (.hdr and .img); save it as one .nii file")
            file.seek(0)
            image_class = _image_class(head)
            order = _byte_order(head)
            _check_header(path, file, image_class.header_class, order)
            return _read_values(path, file, image_class, order)
    except PromiseError:
        raise
    except MemoryError:
        raise ImageError(f"{path}: not enough memory to decode it") from None
    except (zlib.error, EOFError, OSError) as error:
        reason = first_line(error).replace(f" from {path}", "")
        raise ImageError(f"{path}: damaged or truncated: {reason}. Copy it again from its source") from error
    except Exception as error:  # nibabel raises whatever its parsing runs into
        raise ImageError(f"{path}: not a NIfTI file that can be read: {first_line(error)}") from error


def _image_class(head: bytes) -> type[nib.Nifti1Image]:
    """Return the class for NIfTI-2 if the header's magic or its size says so; otherwise that for NIfTI-1."""
    is_second = int.from_bytes(head[:4], "little") == 540 or int.from_bytes(head[:4], "big") == 540
    return nib.Nifti2Image if head[4:7] == b"n+2" or (is_second and head[344:347] != b"n+1") else nib.Nifti1Image


def _byte_order(head: bytes) -> str | None:
    """Return the byte order (``<`` or ``>``) by the size field of the header; ``None`` if it is invalid."""
    orders = {"<": int.from_bytes(head[:4], "little"), ">": int.from_bytes(head[:4], "big")}
    return next((order for order, size in orders.items() if size in (348, 540)), None)


def _read_values(path: Path, file: BufferedIOBase, image_class: type[nib.Nifti1Image], order: str | None) -> _Read:
    header = image_class.header_class.from_fileobj(file, order, check=False)
    shape = tuple(map(int, header.get_data_shape()))
    check_size(path, shape)
    notes = [*mend_scaling(header)]
    has_sizes, of_place = mend_place(header)
    header.check_fix(error_level=40)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 5 and shape[3] == 1:
        shape = (*shape[:3], shape[4])
    words = " x ".join(map(str, shape))
    if len(shape) > 4:
        raise ImageError(
            f"{path}: has {len(shape)} dimensions ({words}); expected one volume, or one of several channels. Save the "
            "one that is wanted by itself"
        )
    if len(shape) == 1:
        raise ImageError(f"{path}: has one dimension of length {shape[0]}; expected a slice or a volume")
    proxy = ArrayProxy(file, header, mmap=False)  # because a file may change while it is mapped
    wanted = prod(shape) * header.get_data_dtype().itemsize
    try:
        array = np.asanyarray(proxy)
    except OSError as error:
        if lacking := _LACKING.search(str(error)):
            kind = header.get_value_label("datatype")
            raise ImageError(
                f"{path}: damaged or truncated: its values have {int(lacking[1]):,} bytes, but {wanted:,} are needed "
                f"by its dim ({words}) and its datatype ({kind}). Copy it again from its source"
            ) from error
        raise
    file.seek(header.get_data_offset() + wanted)
    if file.read(1):
        notes.append(f"it has more bytes than its dim ({words}) need, and they are left out")
    return _Read(image_class, header, _plain(path, array, shape), _step(header, proxy), has_sizes, (*notes, *of_place))


def _check_header(path: Path, file: BufferedIOBase, header_class: type[nib.Nifti1Header], order: str | None) -> None:
    """Check that the values can be read by the header; the error names the field.

    Extensions between header and values must not be too long, because nibabel would unpack and keep them.
    """
    header = header_class(file.read(header_class.sizeof_hdr), order, check=False)
    count, datatype = int(header["dim"][0]), int(header["datatype"])
    if not 1 <= count <= 7:
        raise ImageError(f"{path}: damaged: it has {count} dimensions (dim[0]); expected 1 to 7. Save it again")
    kinds: Any = data_type_codes.dtype
    if datatype not in data_type_codes.code or not np.dtype(kinds[datatype]).itemsize:
        raise ImageError(
            f"{path}: values of an unknown datatype ({datatype}); expected numbers or colours. Save it again"
        )
    start, at = float(header["vox_offset"]), header_class.sizeof_hdr + 4
    if not at <= start <= _MAX_START:
        raise ImageError(
            f"{path}: damaged: its header says that its values begin at byte {start:.0f} (vox_offset); expected {at} "
            f"to {_MAX_START:,}. Save it again"
        )
    extended = file.read(4)[:1] not in (b"", b"\0")
    while extended and at + 16 <= start:
        file.seek(at)
        size = int(np.frombuffer(file.read(4), f"{header.endianness}i4")[0])
        if not 8 <= size <= start - at:
            raise ImageError(f"{path}: damaged: an extension of its header says that it has {size} bytes")
        at += size
    file.seek(0)


def _plain(path: Path, array: Array, shape: tuple[int, ...]) -> Array:
    """Return real numbers (I, J, K[, C]), floating-point numbers as float32, colours as RGB."""
    if array.dtype.names:
        if array.dtype.names[:3] != ("R", "G", "B"):
            raise ImageError(f"{path}: holds values of an unknown kind ({array.dtype})")
        if len(shape) > 3:
            raise ImageError(f"{path}: has {shape[3]} volumes in colour. Save the wanted one as a separate file")
        array = np.stack([array[name] for name in ("R", "G", "B")], -1)
        return array.reshape(*shape, *(1,) * (3 - len(shape)), 3)
    if np.iscomplexobj(array):
        raise ImageError(f"{path}: holds complex numbers; save their magnitude")
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        array = array.astype(np.float32)
    return array.reshape(*shape, *(1,) * (3 - len(shape)))


def _step(header: nib.Nifti1Header, values: ArrayProxy) -> float:
    """Return the distance between two values if the header scales whole numbers (``scl_slope``); otherwise 0."""
    slope = float(values.slope)
    is_scaled = header.get_data_dtype().kind in "iu" and np.isfinite(slope) and slope != 1
    return abs(slope) if is_scaled else 0.0


def _stated_range(header: nib.Nifti1Header) -> tuple[float, float] | None:
    """Return ``cal_min`` and ``cal_max``; ``None`` if they are not a valid range."""
    low, high = float(header["cal_min"]), float(header["cal_max"])
    return (low, high) if np.isfinite([low, high]).all() and high > low else None
