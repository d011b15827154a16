"""The padding of DICOM images: pixels outside of the scanned area. Source: DICOM PS3.3, C.7.5.1.1.2."""

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.arrays import Array, BoolArray

_NAMES = ("PixelPaddingValue", "PixelPaddingRangeLimit")
_SIXTEEN_BITS = 2**16


def padding_mask(stored: Array, dataset: Dataset) -> BoolArray | None:
    """Return a mask (H, W) of padded pixels; ``None`` if there are none.

    Args:
        stored: the pixels (H, W), not rescaled.
        dataset: the header, after :func:`promise_seg.images.formats.dicom_mending.mend`.
    """
    if dataset.get("PixelPaddingValue") is None:
        return None
    limits = [_as_pixel(dataset[name].value, dataset) for name in _NAMES if dataset.get(name) is not None]
    found = (stored >= min(limits)) & (stored <= max(limits))
    return np.asarray(found) if found.any() else None


def padding_notes(dataset: Dataset) -> Iterator[str]:
    """Yield a note on each value that is stored with another sign than the pixels, as some scanners write it.

    The value is then read as the pixel with the same 16 bits: 63536 is -2000.
    """
    for name in _NAMES:
        value = dataset.get(name)
        if value is not None and (pixel := _as_pixel(value, dataset)) != value:
            kind = "signed" if dataset.get("PixelRepresentation") == 1 else "unsigned"
            yield f"its {name} ({value}) is read as {pixel}, because its pixels are {kind}"


def _as_pixel(value: int, dataset: Dataset) -> int:
    """Return a value as it is stored in a pixel, if that has 16 bits and cannot hold the value."""
    if dataset.get("BitsAllocated") != 16:
        return value
    if dataset.get("PixelRepresentation") == 1:
        return value - _SIXTEEN_BITS if _SIXTEEN_BITS // 2 <= value < _SIXTEEN_BITS else value
    return value + _SIXTEEN_BITS if -_SIXTEEN_BITS // 2 <= value < 0 else value
