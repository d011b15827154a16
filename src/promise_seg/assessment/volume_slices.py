"""The rows that are slices of one volume, their order, and the distances between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from promise_seg.dataset.checks import CheckedRow
from promise_seg.images.formats.stacking import stacking_of_files
from promise_seg.vocabulary import MaskKind
from promise_seg.volumes.whole_slices import are_whole

Spacing = tuple[float, float, float]
"""The distances between slices, rows and columns, in mm."""
SliceKey = tuple[Path, Path, str, str, int]
_Key = tuple[Path, Path, str, str, str]


@dataclass(frozen=True)
class Volume:
    """The rows of one volume: at least two, but for volumes of a single slice that are to be cleaned in 3-D.

    Args:
        name: the path of its file or folder.
        group: the patient, or whatever the column ``group`` names.
        rows: its slices in their order; a slice that is named twice counts once.
        slices_of_volume: how many there are in the file, of which not all may be rows; ``None`` if slices are files of
            their own, of which there may be more.
        spacing: the distances between them; ``None`` if they are not known, or no single ones.
        lacking: why there are none, in words that follow the name; empty if there are.
    """

    name: str
    group: str
    rows: tuple[CheckedRow, ...]
    slices_of_volume: int | None
    spacing: Spacing | None
    lacking: str = ""

    @property
    def is_part(self) -> bool:
        """Whether some of its slices are no rows, so that this is not the whole volume."""
        return self.slices_of_volume is not None and len(self.rows) < self.slices_of_volume


def volumes_of(rows: Sequence[CheckedRow]) -> tuple[list[Volume], list[str]]:
    """Return the volumes that rows are slices of, in their order, and notes on those that are none.

    A volume is the rows that share an image file (or the folder of a series), a mask, a split and a group. DICOM images
    that are rows of their own form one if they share a series, and their folders and those of their masks.
    """
    together: dict[_Key, dict[tuple[Path, int], CheckedRow]] = {}
    for row in rows:
        if row.is_slice or row.place is not None:
            together.setdefault(_key(row), {}).setdefault((row.row.image, row.index), row)
    found, single, overlapping = [], [], []
    for slices in (list(members.values()) for members in together.values()):
        if len(slices) == 1:
            single += [row for row in slices if row.stacking is not None and row.stacking.slices > 1]
        elif slices[0].is_slice:
            found.append(_of_one_file(sorted(slices, key=lambda row: row.index)))
        elif (volume := _of_files(slices)) is not None:
            found.append(volume)
        else:
            overlapping.append(slices[0])
    return found, _notes(single, overlapping)


def volumes_to_join(rows: Sequence[CheckedRow]) -> list[Volume]:
    """Return the volumes whose slices may come together.

    Objects of instance maps are told apart slice by slice, frames of videos follow one another in time, and slices that
    are larger than a tile are seen in parts.
    """
    return volumes_of([row for row in rows if _may_join(row)])[0]


def single_slices(rows: Sequence[CheckedRow]) -> list[Volume]:
    """Return the volumes that have a single slice, which may be cleaned in 3-D as those of several."""
    single = {
        slice_key(row): row for row in rows if row.stacking is not None and row.stacking.slices == 1 and _may_join(row)
    }
    return [_of_one_file([row]) for row in single.values()]


def _may_join(row: CheckedRow) -> bool:
    return row.reading.masks != MaskKind.INSTANCES and not is_in_time(row) and is_whole(row)


def is_in_time(row: CheckedRow) -> bool:
    """Whether a row is a frame of a video."""
    return row.stacking is not None and row.stacking.is_in_time


def is_whole(row: CheckedRow) -> bool:
    """Whether a row, as a slice, is seen whole; so is each tile that is a row of its own."""
    return row.tile is not None or are_whole(row.reading, row.height, row.width)


def _key(row: CheckedRow) -> _Key:
    if row.place is None:
        return row.row.image, row.row.mask, "", str(row.row.split), row.row.group
    group = "" if _has_no_group(row) else row.row.group
    return row.row.image.parent, row.row.mask.parent, row.place.series, str(row.row.split), group


def slice_key(row: CheckedRow) -> SliceKey:
    """Return the key of a row as a slice: rows that name the same slice twice share it."""
    return row.row.image, row.row.mask, str(row.row.split), row.row.group, row.index


def _has_no_group(row: CheckedRow) -> bool:
    return row.row.group == str(row.row.image)


def _of_one_file(rows: list[CheckedRow]) -> Volume:
    first, stacking = rows[0], rows[0].stacking
    count, step, lacking = (None, None, "its slices have no distance") if stacking is None else stacking[:3]
    if any(after.index - before.index != 1 for before, after in pairwise(rows)):
        step, lacking = None, "not all slices between its first and its last are rows"
    return _volume(str(first.row.image), first.row.group, rows, count, step, lacking)


def _of_files(rows: list[CheckedRow]) -> Volume | None:
    """Return the volume of images that are files of their own; ``None`` if they do not lie beside each other."""
    places = [row.place for row in rows if row.place is not None]
    shape = rows[0].height, rows[0].width
    if any((row.height, row.width) != shape for row in rows):
        return None
    found = stacking_of_files(places, shape, [row.row.image.name for row in rows])
    if found is None:
        return None
    order, stacking = found
    folder = str(rows[0].row.image.parent)
    group = folder if _has_no_group(rows[0]) else rows[0].row.group
    return _volume(folder, group, [rows[index] for index in order], None, stacking.spacing, stacking.lacking)


def _volume(
    name: str, group: str, rows: list[CheckedRow], count: int | None, step: float | None, lacking: str
) -> Volume:
    if step is not None and rows[0].spacing is None:
        step, lacking = None, "it does not say how large its pixels are"
    if step is None or rows[0].spacing is None:
        return Volume(name, group, tuple(rows), count, None, lacking)
    return Volume(name, group, tuple(rows), count, (step, *rows[0].spacing))


def _notes(single: list[CheckedRow], overlapping: list[CheckedRow]) -> list[str]:
    notes = []
    if single:
        count = 1 if single[0].stacking is None else single[0].stacking.slices
        notes.append(
            f"{len(single)} volume(s) are not scored as such, as only one of their slices is a row, for example "
            f"{single[0].row.image}: 1 of {count}"
        )
    if overlapping:
        notes.append(
            f"{len(overlapping)} series of single files are not scored as volumes, as their images differ in size or "
            f"direction or lie at the same place, for example that of {overlapping[0].row.image}"
        )
    return notes
