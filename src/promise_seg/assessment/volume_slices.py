"""Group rows that are slices of the same volume, with their order and the distances between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from promise_seg.dataset.checks import CheckedRow
from promise_seg.images.formats.stacking import stacking_of_files
from promise_seg.vocabulary import MaskKind
from promise_seg.volumes.stack import Spacing
from promise_seg.volumes.whole_slices import are_whole

SliceKey = tuple[Path, Path, str, str, int]
_Key = tuple[Path, Path, str, str, str]


@dataclass(frozen=True)
class VolumeRows:
    """The rows of one volume: at least two, except for volumes of a single slice that are to be cleaned in 3-D.

    Args:
        name: the path of the volume's file or folder.
        group: the patient, or whatever the column ``group`` names.
        rows: the slices in their order; a slice in several rows counts once.
        slices_of_volume: the number of slices in the file, of which not all need be rows; ``None`` if slices are
            separate files, because there may be more files.
        spacing: the distances between slices, rows and columns; ``None`` if they are unknown or uneven.
        lacking: the reason why there is no spacing, as a phrase that follows the name; empty if there is a spacing.
    """

    name: str
    group: str
    rows: tuple[CheckedRow, ...]
    slices_of_volume: int | None
    spacing: Spacing | None
    lacking: str = ""

    @property
    def is_part(self) -> bool:
        """Whether some slices of the volume are not rows, so the volume is incomplete."""
        return self.slices_of_volume is not None and len(self.rows) < self.slices_of_volume


def volumes_of(rows: Sequence[CheckedRow]) -> tuple[list[VolumeRows], list[str]]:
    """Return the volumes to which rows belong, in the order of the rows, and notes on rows that form no volume.

    A volume consists of the rows that share an image file (or the folder of a series), a mask, a split and a group.
    DICOM images in separate files form a volume if they share a series, the folders of images and masks, a split and a
    group.
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


def volumes_to_join(rows: Sequence[CheckedRow]) -> list[VolumeRows]:
    """Return the volumes whose slices may be combined.

    Excluded are instance maps, whose objects are separated slice by slice, frames of videos, which follow one another
    in time, and slices that are larger than a tile, which are read in parts.
    """
    return volumes_of([row for row in rows if _may_join(row)])[0]


def single_slices(rows: Sequence[CheckedRow]) -> list[VolumeRows]:
    """Return the volumes with a single slice, which may be cleaned in 3-D like volumes of several slices."""
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
    """Whether the image of a row is read as a whole rather than in tiles; true for a tile that is itself a row."""
    return row.tile is not None or are_whole(row.reading, row.height, row.width)


def _key(row: CheckedRow) -> _Key:
    if row.place is None:
        return row.row.image, row.row.mask, "", str(row.row.split), row.row.group
    group = "" if _has_no_group(row) else row.row.group
    return row.row.image.parent, row.row.mask.parent, row.place.series, str(row.row.split), group


def slice_key(row: CheckedRow) -> SliceKey:
    """Return the key that identifies the slice of a row; rows of the same slice have the same key."""
    return row.row.image, row.row.mask, str(row.row.split), row.row.group, row.index


def _has_no_group(row: CheckedRow) -> bool:
    return row.row.group == str(row.row.image)


def _of_one_file(rows: list[CheckedRow]) -> VolumeRows:
    first, stacking = rows[0], rows[0].stacking
    count, step, lacking = (None, None, "its slices have no distance") if stacking is None else stacking[:3]
    if any(after.index - before.index != 1 for before, after in pairwise(rows)):
        step, lacking = None, "not all slices between its first and its last are rows"
    return _volume(str(first.row.image), first.row.group, rows, count, step, lacking)


def _of_files(rows: list[CheckedRow]) -> VolumeRows | None:
    """Return the volume of images in separate files; ``None`` if they do not form a stack of equal sizes."""
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
) -> VolumeRows:
    if step is not None and rows[0].spacing is None:
        step, lacking = None, "its pixel size is not known"
    if step is None or rows[0].spacing is None:
        return VolumeRows(name, group, tuple(rows), count, None, lacking)
    return VolumeRows(name, group, tuple(rows), count, (step, *rows[0].spacing))


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
