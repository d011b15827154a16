"""Read DICOM files safely as data sets, whatever they contain. Read by ``pydicom``."""

import warnings
import zlib
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from promise_seg.errors import ImageError, PromiseError
from promise_seg.images.formats.codes import check_codes
from promise_seg.images.formats.dicom_faults import damaged
from promise_seg.images.formats.dicom_mending import mend
from promise_seg.images.formats.dicom_pixel_header import lacking_bytes
from promise_seg.images.formats.limits import SparingFile, max_values, too_large

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentations, and label map segmentations."""
_BYTES_PER_VALUE = 4
_CHUNK = 2**20


def read_dataset(path: Path, *, pixels: bool = True) -> Dataset:
    """Read all elements of a file, or those before its pixels, and repair its header; see :func:`read_mended`."""
    return read_mended(path, pixels=pixels)[0]


def read_mended(path: Path, *, pixels: bool = True) -> tuple[Dataset, tuple[str, ...]]:
    """Read all elements of a file, or those before its pixels; return them with a note on each repair of the header.

    Raises:
        ImageError: if it is not a DICOM file, or damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns about what it can repair
            with SparingFile(path) as file:
                _check_deflated(path, file)
                dataset = pydicom.dcmread(file, force=True, stop_before_pixels=not pixels)
            if not dataset or not (dataset.get("SOPClassUID") or _has_image(dataset)):
                raise ImageError(f"{path}: not a DICOM file: it has no SOP class, and no image")
            dataset.get("SeriesInstanceUID")  # parsed, and found to be damaged, only on access, like the class above
            return dataset, mend(dataset)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except InvalidDicomError:
        raise ImageError(f"{path}: not a DICOM file") from None
    except PromiseError:
        raise
    except MemoryError:
        raise ImageError(f"{path}: not enough memory to read it") from None
    except Exception as error:  # pydicom raises whatever its parsing runs into
        raise damaged(path, error) from error


def _has_image(dataset: Dataset) -> bool:
    """Whether a file without a SOP class contains an image, like files from before DICOM."""
    return all(dataset.get(name) for name in ("Rows", "Columns", "BitsAllocated"))


def _check_deflated(path: Path, file: SparingFile) -> None:
    """Check that pydicom would not inflate a file to more bytes than any image within the limit has."""
    read_preamble(file, force=True)
    syntax, limit = _read_file_meta_info(file).get("TransferSyntaxUID"), max_values() * _BYTES_PER_VALUE
    if syntax == DeflatedExplicitVRLittleEndian:
        inflating, inflated = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while packed := inflating.unconsumed_tail or file.read(_CHUNK):
            inflated += len(inflating.decompress(packed, _CHUNK))
            if inflated > limit:
                raise too_large(path, f"deflated, over {limit // _BYTES_PER_VALUE:,}")
    file.seek(0)


def check_length(path: Path, dataset: Dataset) -> None:
    """Check that there are as many pixels as the header declares; the error names the elements."""
    if lacking := lacking_bytes(dataset):
        raise ImageError(f"{path}: damaged or truncated: {lacking}. Export it again from its source")


def check_frames(path: Path, dataset: Dataset) -> None:
    """Check that frames do not decode to more than the header declares; pydicom decodes before it compares."""
    meta = getattr(dataset, "file_meta", None)
    if meta is not None and meta.get("TransferSyntaxUID") == RLELossless:
        return  # its bytes are those of the pixels, which may look like the marker of another compression
    if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
        values = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
        check_codes(path, dataset.PixelData, values)
