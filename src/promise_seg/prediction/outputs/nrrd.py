"""Write labels as an NRRD file that 3D Slicer opens as a segmentation, using ``pynrrd``.

Source: the segment fields are those of Slicer's own files,
https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html
"""

import unicodedata
from pathlib import Path
from typing import Any

import nrrd

from promise_seg.arrays import Array
from promise_seg.images.formats.nrrd import NrrdVolume
from promise_seg.images.sheets import OUTLINE_COLOURS
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.outputs.columns_first import TO_LPS, affine_columns_first, labels_columns_first
from promise_seg.prediction.outputs.reading_back import stack_beside, stored_stack, write_checked

_KEPT = ("space", "space dimension", "space origin", "space units")
_PER_AXIS = ("space directions", "spacings", "units")


def write_nrrd(labelled: Labelled, path: Path) -> None:
    """Write labels in the shape, axis order and space of an NRRD input; for other inputs as columns, rows, slices.

    For inputs with unknown geometry, the file has no space, which is optional in NRRD.
    """
    source = labelled.source
    array = labels_columns_first(labelled)
    is_flat = len(source.space_axes) == 2 if isinstance(source, NrrdVolume) else not source.is_volume
    array = array[..., 0] if is_flat else array
    header = {"encoding": "gzip", "kinds": ["domain"] * array.ndim, **_space(labelled), **_segments(labelled, array)}

    def read(written: Path) -> Array:
        return stored_stack(written) if source.frame is None else stack_beside(written, labelled)

    write_checked(labelled, path, lambda to: nrrd.write(str(to), array, header), read, labelled.stack)


def _space(labelled: Labelled) -> dict[str, Any]:
    """Return the fields with the geometry of the labels; fields of an NRRD input are copied unchanged."""
    source, affine = labelled.source, affine_columns_first(labelled)
    if isinstance(source, NrrdVolume):
        header, axes = source.header, source.space_axes
        kept = {name: header.get(name.replace(" ", "")) for name in _KEPT}
        kept |= {name: _at(header.get(name.replace(" ", "")), axes) for name in _PER_AXIS}
        return {name: value for name, value in kept.items() if value is not None}
    if affine is None:
        return {} if source.spacing is None or source.is_volume else {"spacings": list(source.spacing[::-1])}
    directions = (TO_LPS @ affine[:3, :3]).T
    return {
        "space": "left-posterior-superior",
        "space directions": directions if source.is_volume else directions[:2],
        "space origin": TO_LPS @ affine[:3, 3],
    }


def _at(values: Any, axes: list[int]) -> Any:
    return None if values is None else [values[axis] for axis in axes]


def _segments(labelled: Labelled, array: Array) -> dict[str, str]:
    """Return the fields with each label's name, reduced to ASCII, and colour, which Slicer displays."""
    extent = " ".join(f"0 {size - 1}" for size in (*array.shape, 1)[:3])
    fields = {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for number, (label, name) in enumerate(labelled.names.items()):
        letters = unicodedata.normalize("NFKD", " ".join(name.split())).encode("ascii", "ignore").decode()
        colour = OUTLINE_COLOURS[number % len(OUTLINE_COLOURS)]
        segment = {
            "ID": f"Segment_{label}",
            "Name": letters.strip() or f"label {label}",
            "Color": " ".join(f"{value / 255:.4f}" for value in colour),
            "LabelValue": str(label),
            "Layer": "0",
            "Extent": extent,
        }
        fields |= {f"Segment{number}_{field}": value for field, value in segment.items()}
    return fields
