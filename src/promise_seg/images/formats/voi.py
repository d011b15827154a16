"""The display of a DICOM file: its window, or its lookup table of grey values.

The result is 8-bit grey.
"""

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.arrays import Array, IntArray, Uint8Array
from promise_seg.images.formats.dicom_tables import bits_of, look_up


def apply_voi(values: Array, facts: Dataset) -> Uint8Array | None:
    """Map values (H, W), in the units of the modality, to grey levels; ``None`` if the file does not define them.

    If there are several windows, the first is used. Source: DICOM PS3.3, C.11.2.1.
    """
    if facts.get("VOILUTSequence"):
        table = facts.VOILUTSequence[0]
        seen = look_up(whole_numbers(values), table, facts).astype(np.float64)
        return np.round(np.clip(seen / (2 ** bits_of(table) - 1), 0, 1) * 255).astype(np.uint8)
    window = _window(facts)
    if window is None:
        return None
    return windowed(values, *window, str(facts.get("VOILUTFunction") or "LINEAR").strip().upper())


def whole_numbers(values: Array) -> IntArray:
    """Return values (H, W) as the whole numbers that a table is looked up by; NaN becomes 0."""
    return np.nan_to_num(np.asarray(values, np.float64)).astype(np.int64)


def has_voi(facts: Dataset) -> bool:
    """Whether a file defines how its values become grey levels, so that :func:`apply_voi` does not return ``None``."""
    return bool(facts.get("VOILUTSequence")) or _window(facts) is not None


def _window(facts: Dataset) -> tuple[float, float] | None:
    """Return the centre and the width of the first window; ``None`` if one of them is missing, or there is no width."""
    centre, width = _first(facts.get("WindowCenter")), _first(facts.get("WindowWidth"))
    return None if centre is None or width is None or width <= 0 else (centre, width)


def _first(value: object) -> float | None:
    if value is None or value == "":
        return None
    items = value if isinstance(value, list | tuple) or hasattr(value, "__getitem__") else [value]
    return float(items[0]) if not isinstance(items, str) else float(items)


def windowed(values: Array, centre: float, width: float, function: str = "LINEAR_EXACT") -> Uint8Array:
    """Map values around a centre (level) to grey levels. Source: DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3."""
    x = np.asarray(values, np.float64)
    if function == "SIGMOID":
        share = 1 / (1 + np.exp(np.clip(-4 * (x - centre) / width, -700, 700)))
    elif function == "LINEAR" and width > 1:
        share = (x - (centre - 0.5)) / (width - 1) + 0.5
    else:
        share = (x - centre) / width + 0.5
    return np.round(np.clip(np.nan_to_num(share, nan=0.0), 0, 1) * 255).astype(np.uint8)
