"""Repair faults in DICOM headers that other programs tolerate, with a note on each."""

from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from promise_seg.images.formats.dicom_faults import PARSE_ERRORS
from promise_seg.images.formats.dicom_numbers import mend_numbers
from promise_seg.images.formats.dicom_padding import padding_notes
from promise_seg.images.formats.dicom_pixel_header import mend_pixel_header, mend_transfer_syntax

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_MACROS = (
    "PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
)  # fmt: skip
_TABLES = ("VOILUTSequence",)


def mend(dataset: Dataset) -> tuple[str, ...]:
    """Correct a header in place to what other programs read; return a note on every change.

    Valid elements stay unchanged. Elements that cannot be interpreted and are not needed are removed.

    Raises:
        PARSE_ERRORS: if a required element cannot be parsed.
    """
    notes = [*mend_transfer_syntax(dataset), *mend_numbers(dataset)]
    signed = dataset.get("PixelRepresentation") == 1
    for item in _items_of_frames(dataset):
        notes += [*mend_numbers(item, signed), *_mend_tables(item)]
    notes += [*_mend_tables(dataset), *mend_pixel_header(dataset), *padding_notes(dataset)]
    return tuple(dict.fromkeys(notes))


def _items(dataset: Dataset, name: str) -> Iterable[Dataset]:
    """Return the items of a sequence; empty if it is missing or not a sequence."""
    try:
        value = dataset.get(name)
    except PARSE_ERRORS:
        return ()
    return value if isinstance(value, Sequence) else ()


def _items_of_frames(dataset: Dataset) -> Iterator[Dataset]:
    for sequence in _GROUPS:
        for group in _items(dataset, sequence):
            for macro in _MACROS:
                yield from _items(group, macro)


def _mend_tables(dataset: Dataset) -> Iterator[str]:
    """Remove incomplete lookup tables of grey levels for display."""
    for name in _TABLES:
        if name not in dataset:
            continue
        try:
            tables = list(_items(dataset, name))
            is_sound = all(len(one.LUTDescriptor) == 3 and len(one.LUTData) > 0 for one in tables)
        except PARSE_ERRORS:
            tables, is_sound = [], False
        if not (is_sound and tables):
            del dataset[name]
            yield f"its {name} is empty or damaged, and is left out"
