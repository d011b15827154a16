"""The display of a DICOM file: its window, or its lookup table of grey values.

``pydicom`` applies both, but returns units that depend on the rest of the file; here the result is 8-bit grey.
"""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import processing

from promise_seg.arrays import Array, Uint8Array


def apply_voi(values: Array, facts: Dataset) -> Uint8Array | None:
    """Map values (H, W), in the units of the modality, to grey levels; ``None`` if the file does not define them.

    If there are several windows, the first is used. Source: DICOM PS3.3, C.11.2.1.
    """
    if facts.get("VOILUTSequence"):
        plain = np.nan_to_num(np.asarray(values, np.float64)).astype(np.int64)
        seen = np.asarray(processing.apply_voi(plain, facts), np.float64)
        bits = int(facts.VOILUTSequence[0].LUTDescriptor[2])
        return np.round(np.clip(seen / (2**bits - 1), 0, 1) * 255).astype(np.uint8)
    centre, width = _first(facts.get("WindowCenter")), _first(facts.get("WindowWidth"))
    if centre is None or width is None or width <= 0:
        return None
    return windowed(values, centre, width, str(facts.get("VOILUTFunction") or "LINEAR").strip().upper())


def has_voi(facts: Dataset) -> bool:
    """Whether a file defines how its values become grey levels."""
    return bool(facts.get("VOILUTSequence")) or _first(facts.get("WindowCenter")) is not None


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
