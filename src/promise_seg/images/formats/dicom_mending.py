"""Blemishes of DICOM headers that other programs read over: mended when a file is read, with a note on each."""

from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from promise_seg.images.formats.dicom_faults import PARSE_ERRORS
from promise_seg.images.formats.dicom_numbers import mend_numbers
from promise_seg.images.formats.dicom_pixel_header import mend_pixel_header, mend_transfer_syntax

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_MACROS = (
    "PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
)  # fmt: skip
_TABLES = ("VOILUTSequence",)


def mend(dataset: Dataset) -> tuple[str, ...]:
    """Make a header, in place, what other programs read it as; return a note on everything that was changed.

    What is sound stays as it is. What cannot be understood, and is not needed, is left out, as if it had never been
    there.

    Raises:
        PARSE_ERRORS: if an element that is needed cannot be parsed.
    """
    notes = [*mend_transfer_syntax(dataset), *mend_numbers(dataset)]
    signed = dataset.get("PixelRepresentation") == 1
    for item in _items_of_frames(dataset):
        notes += [*mend_numbers(item, signed), *_mend_tables(item)]
    notes += [*_mend_tables(dataset), *mend_pixel_header(dataset)]
    return tuple(dict.fromkeys(notes))


def _items(dataset: Dataset, name: str) -> Iterable[Dataset]:
    """Return the items of a sequence; none if it is missing, or is no sequence."""
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
    """Leave out tables of grey levels for display that are not complete."""
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
