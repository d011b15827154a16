"""Check a whole data set before any work begins, and report all its problems at once."""

import hashlib
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array, BoolArray, Uint8Array
from promise_seg.dataset.manifest import Row, raise_all
from promise_seg.dataset.mask_hashes import mask_sha256, stored_sha256, values_sha256
from promise_seg.dataset.recent import RecentArrays
from promise_seg.errors import ImageError, PromiseError, SizeError
from promise_seg.images.channel_files import note_of
from promise_seg.images.formats.kinds import kind_of
from promise_seg.images.formats.numpy_stack import holds_image_and_mask
from promise_seg.images.formats.opening import states_of
from promise_seg.images.formats.source import Source
from promise_seg.images.formats.stacking import SlicePlace, Stacking, place_of, stacking_of
from promise_seg.images.framing import crop_of
from promise_seg.images.geometry import Box
from promise_seg.images.guarding import guarded
from promise_seg.images.masks import instances_of, mask_of, note_on_instances, suggested_threshold, without_rounding
from promise_seg.images.readers import content_sha256, highest_label, labels_of, mask_source, read_image, read_labels
from promise_seg.images.reading import DEFAULT_READING, Reading
from promise_seg.progress import Progress, counted, silent
from promise_seg.vocabulary import MaskKind, Split

_NAMED = 3
_MOST_LABELS = 16
"""A mask file with more values than this looks like an image."""
_TILES = RecentArrays(2**28)
"""The pixels and labels of tiles, which training reads repeatedly."""
_WHOLE = RecentArrays(2**29)
"""The whole images and labels that tiles were cut from most recently, so that they are not read again per tile."""


@dataclass(frozen=True)
class CheckedRow:
    """A single image, or one slice of a volume, whose files were read once without problems.

    ``image_sha256`` is the hash of everything that determines the pixels; ``index`` is the slice index, from 0;
    ``crop`` is the part of the image frame that is kept, ``None`` for the whole image; ``class_pixels`` are the classes
    of a label map, each with its number of pixels; ``labels_sha256`` is the hash of the mask values as stored, and
    ``values_sha256`` that of the values in any data type; ``spacing`` is the distance between rows and between columns
    in mm, if the image states it; ``stacking`` holds the number of slices of the volume and the distance between them;
    ``place`` is the position of an image that may be a slice of a series;
    ``highest_label`` is the highest value of the mask in this slice; ``mask_note`` states what was assumed about the
    mask where its file is ambiguous; ``image_note`` states which of several channels are read where none were chosen;
    ``notes``, kept with the first slice of each row, list the deviations from what the files state. ``tile`` is the
    part of the image that this row stands for, whose frame is then the image frame; ``None`` for the whole image;
    ``rgb_sha256`` is the hash of the pixels that were read, whatever the format of the file, and empty if all of them
    are equal.
    """

    row: Row
    image_sha256: str
    height: int
    width: int
    foreground_pixels: int
    reading: Reading = DEFAULT_READING
    index: int = 0
    is_slice: bool = False
    crop: Box | None = None
    class_pixels: tuple[tuple[int, int], ...] = ()
    labels_sha256: str = ""
    spacing: tuple[float, float] | None = None
    stacking: Stacking | None = None
    place: SlicePlace | None = None
    highest_label: float = 0.0
    mask_note: str | None = None
    image_note: str | None = None
    notes: tuple[str, ...] = ()
    tile: Box | None = None
    values_sha256: str = ""
    rgb_sha256: str = ""

    @property
    def kept(self) -> Box:
        """The part of the image frame that is passed to the model."""
        return self.crop or Box(0, 0, self.width, self.height)

    @property
    def pixels_sha256(self) -> str:
        """The hash of everything that determines the pixels of this row, which may be a tile of its image."""
        if self.tile is None:
            return self.image_sha256
        return hashlib.sha256(json.dumps([self.image_sha256, list(self.tile)]).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The path of the image, with the index of the slice if the image is a volume."""
        return f"{self.row.image}#{self.index}" if self.is_slice else str(self.row.image)

    @property
    def truth_sha256(self) -> str:
        """The hash of everything that determines the mask: the values as stored, and how they are interpreted."""
        return mask_sha256(self.labels_sha256, self.reading.mask_rule)

    @property
    def truth_values_sha256(self) -> str:
        """The same hash for files that store the same values in another data type, such as 16 instead of 8 bits."""
        return mask_sha256(self.values_sha256 or self.labels_sha256, self.reading.mask_rule)

    def of_class(self, label: int) -> "CheckedRow":
        """Return the same row for one class of its label map."""
        pixels = dict(self.class_pixels).get(label, 0)
        return replace(self, reading=self.reading.of_class(label), foreground_pixels=pixels)

    def image(self) -> Uint8Array:
        """Read the image: (H, W, 3) uint8 RGB in the image frame."""
        if self.tile is None:
            return read_image(self.row.image, self.reading, self.index)
        tile, key = self.tile, ("image", *self._key)

        def cut() -> Uint8Array:
            source = self.reading.open(self.row.image)
            if source.size is not None:
                return np.ascontiguousarray(self.reading.rgb_in(source, self.index, tile))
            return _WHOLE.get(key, lambda: self.reading.rgb(source, self.index), tile.slices)

        return _TILES.get((*key, tile), cut)

    def labels(self) -> Array:
        """Read the labels: (H, W), as stored, in the image frame."""
        if self.tile is None:
            return self._all_labels()
        tile, key = self.tile, ("labels", *self._key, self.row.mask, states_of(self.row.mask))
        return _TILES.get((*key, tile), lambda: _WHOLE.get(key, self._all_labels, tile.slices))

    @property
    def _key(self) -> tuple[Hashable, ...]:
        """The cache key: the image, its slice and the reading options, except those that only interpret masks."""
        return self.row.image, states_of(self.row.image), self.index, self.reading.without_masks

    def _all_labels(self) -> Array:
        needs_image = self.is_slice or kind_of(self.row.mask).may_refer_to_image  # to match the slices
        image = self.reading.open(self.row.image) if needs_image else None
        return read_labels(self.row.mask, image, self.index)

    def mask(self) -> BoolArray:
        """Read the mask: (H, W) bool in the image frame."""
        return mask_of(self.labels(), self.reading.mask_rule, self.row.mask)

    def instances(self) -> list[BoolArray]:
        """Return one mask, (H, W) bool, for each object of an instance map."""
        return list(instances_of(self.labels()))

    def object_pixels(self) -> list[int]:
        """Return the number of pixels of each object of an instance map, in the order of the labels."""
        return [pixels for _, pixels in count_classes(self.labels())]


def check_row(row: Row, reading: Reading | None = None) -> list[CheckedRow]:
    """Read the image and the mask of a row, slice by slice.

    Raises:
        ImageError: if they cannot be used; the message begins with the file and line of the row.
    """
    reading = reading or DEFAULT_READING
    try:
        with guarded(row.image):
            if _is_its_own_mask(row):
                raise ImageError(f"{row.image}: is both the image and the mask. Give the file of its mask")
            source = reading.open(row.image)
            first, *others = [_check_slice(row, source, index, reading) for index in _wanted(row, source)]
            return [replace(first, notes=source.notes + _notes_of_mask(row)), *others]
    except SizeError as error:
        raise SizeError(f"{row.where}: {error}") from error
    except ImageError as error:
        raise type(error)(f"{row.where}: {_exchanged(row) or error}") from error


def _exchanged(row: Row) -> str:
    """Return a message if the image file looks like a mask, and the mask file like an image; empty otherwise."""
    try:
        with guarded(row.image):
            image, mask = (DEFAULT_READING.open(path) for path in (row.image, row.mask))
            if image.is_volume or mask.is_volume:
                return ""
            of_image, of_mask = (len(np.unique(DEFAULT_READING.rgb(one, 0))) for one in (image, mask))
    except PromiseError:
        return ""
    if of_image != 2 or of_mask <= _MOST_LABELS:  # an image with one value may be black
        return ""
    return (
        f"{row.image} has only 2 values, like a mask, and its mask {row.mask} has "
        f"{of_mask}, like an image. The columns image_name and mask_name seem to be exchanged: exchange their names in "
        "the first line"
    )


def _is_its_own_mask(row: Row) -> bool:
    """Whether a row names the same file as image and mask, and the file is not an archive that holds both."""
    return row.image.resolve() == row.mask.resolve() and not holds_image_and_mask(row.image)


def _notes_of_mask(row: Row) -> tuple[str, ...]:
    mask = mask_source(row.mask)
    if mask is None:
        return ()
    if not mask.value_step or np.array_equal(without_rounding(mask.array, mask.value_step), mask.array):
        return mask.notes
    return (
        *mask.notes,
        f"{row.mask}: its labels differ from whole numbers by the rounding of its scale factor, and are rounded",
    )


def _wanted(row: Row, source: Source) -> range:
    if row.slices is None:
        return range(0, len(source), row.every)
    first, last = row.slices
    if last >= len(source):
        raise ImageError(f"{row.image}: has no slice {last}; it has {len(source)}, counted from 0")
    return range(first, last + 1, row.every)


def _check_slice(row: Row, source: Source, index: int, reading: Reading) -> CheckedRow:
    image = reading.rgb(source, index)
    mask = mask_source(row.mask)
    labels = labels_of(mask, row.mask, source, index)
    if image.shape[:2] != labels.shape:
        turned = " (rotated by its EXIF orientation)" if source.turned != 1 else ""
        raise SizeError(
            f"{row.image} is {image.shape[1]} x {image.shape[0]} pixels{turned} but its mask {row.mask} is "
            f"{labels.shape[1]} x {labels.shape[0]}. Both must have the same size"
        )
    found = mask_of(labels, reading.mask_rule, row.mask, lambda: highest_label(row.mask))
    return CheckedRow(
        row, content_sha256(source, index, reading), labels.shape[0], labels.shape[1],
        int(np.count_nonzero(found)), reading, index,
        is_slice=source.is_volume, crop=crop_of(image, reading.crop_border),
        class_pixels=count_classes(labels) if reading.masks == MaskKind.CLASSES else (),
        spacing=source.spacing, stacking=stacking_of(source), place=place_of(source),
        highest_label=float(labels.max()), mask_note=_note_of_labels(labels, mask, reading),
        image_note=source.channel_note if reading.channels is None else None,
        labels_sha256=stored_sha256(labels), values_sha256=values_sha256(labels), rgb_sha256=_rgb_sha256(image),
    )  # fmt: skip


def _rgb_sha256(image: Uint8Array) -> str:
    """Return the hash of an image (H, W, 3); empty if all pixels are equal, as in the first slices of many volumes."""
    first = image[0, 0]
    if (image[0] == first).all() and (image == first).all():  # the first line alone is quick
        return ""
    found = hashlib.sha256(str(image.shape).encode())
    found.update(np.ascontiguousarray(image).data)
    return found.hexdigest()


def _note_of_labels(labels: Array, mask: Source | None, reading: Reading) -> str | None:
    note = None if mask is None else mask.label_note
    return note_on_instances(labels) if note is None and reading.masks == MaskKind.INSTANCES else note


def count_classes(labels: Array) -> tuple[tuple[int, int], ...]:
    """Return the classes of a label map (H, W), without 0 (background), each with its number of pixels."""
    values, counts = np.unique(labels, return_counts=True)
    return tuple((int(v), int(n)) for v, n in zip(values, counts, strict=True) if v != 0)


def classes_of(rows: Sequence[CheckedRow]) -> list[int]:
    """Return all classes in the label maps of some rows, in ascending order."""
    return sorted({label for row in rows for label, _ in row.class_pixels})


def check_rows(
    rows: Sequence[Row], reading: Reading | None = None, progress: Progress = silent, known: Sequence[str] = ()
) -> list[CheckedRow]:
    """Check the files of every row; a volume becomes one checked row per slice.

    Args:
        rows: rows of the manifest that can be used.
        reading: how the files are read.
        progress: called for each row.
        known: problems of other rows, which are raised together with those of the files.

    Raises:
        ManifestError: if there are problems; the message has one line for each of the first 20, and the number of the
            others.
    """
    checked, problems = [], list(known)
    for row in counted(rows, progress, "checking"):
        try:
            checked += check_row(row, reading)
        except ImageError as error:
            problems.append(str(error))
    problems += leaks(checked) + emptied(checked)
    if not problems:
        problems += _without_class(checked)
    raise_all(problems)
    return checked


def _without_class(rows: Sequence[CheckedRow]) -> list[str]:
    """Report a chosen class that no mask contains, which is a mistake rather than a data set of empty masks."""
    label = rows[0].reading.label if rows else None
    if label is None or any(r.foreground_pixels for r in rows):
        return []
    found = ", ".join(map(str, classes_of(rows)))
    place = rows[0].row.where.rsplit(":", 1)[0]
    return [f"{place}: no mask contains the class {label}; they contain {found or 'nothing'}"]


def emptied(rows: Sequence[CheckedRow]) -> list[str]:
    """Report a mask threshold that no mask exceeds, or masks in [0, 1] below a threshold that other masks exceed.

    The latter only applies to thresholds from 1: probability maps without an object may well stay below a lower one.
    """
    threshold = rows[0].reading.mask_threshold if rows else None
    if threshold is None:
        return []
    highest: dict[Row, float] = {}
    for one in rows:
        highest[one.row] = max(highest.get(one.row, 0.0), one.highest_label)
    full = {one.row for one in rows if one.foreground_pixels}
    most = max(highest.values())
    if not full and most > 0:
        place = rows[0].row.where.rsplit(":", 1)[0]
        return [
            f"{place}: no mask has a value above {most:g}, so --mask-threshold {threshold:g} makes all of them empty. "
            f"Pass --mask-threshold {suggested_threshold(most):g} instead"
        ]
    return [
        f"{row.where}: {row.mask}: has no value above {value:g}, so --mask-threshold {threshold:g} makes it empty, "
        f"while other masks have values up to {most:g}. Save all of them with the same range of values"
        for row, value in highest.items()
        if row not in full and 0 < value <= 1 <= threshold
    ]


def mask_notes(rows: Sequence[CheckedRow]) -> dict[Row, str]:
    """Return notes on what was assumed about ambiguous masks, each once, keyed by the first row that it concerns."""
    return _grouped_notes([(one.row, one.row.mask, one.mask_note) for one in rows], "mask(s)")


def image_notes(rows: Sequence[CheckedRow]) -> dict[Row, str]:
    """Return notes on the channels that are read where none were chosen, each once, keyed by the first such row."""
    images = {one.row.image for one in rows}
    notes = [(one.row, one.row.image, one.image_note) for one in rows]
    unchosen = {one.row.image: one.row for one in rows if one.reading.channels is None}
    notes += [(row, image, note_of(image, images)) for image, row in unchosen.items()]
    return _grouped_notes(notes, "image(s)")


def _grouped_notes(notes: Sequence[tuple[Row, Path, str | None]], what: str) -> dict[Row, str]:
    by_note: dict[str, dict[Path, Row]] = {}
    for row, path, note in notes:
        if note is not None:
            by_note.setdefault(note, {}).setdefault(path, row)
    found: dict[Row, str] = {}
    for note, paths in by_note.items():
        (path, row), more = next(iter(paths.items())), len(paths) - 1
        found[row] = f"{path}: {note}" + (f". The same holds for {more} other {what}" if more else "")
    return found


def leaks(rows: Sequence[CheckedRow]) -> list[str]:
    """Report train images that are also in ``val`` or ``test``, compared by content and not by name."""
    seen: dict[str, Row] = {r.image_sha256: r.row for r in rows if r.row.split != Split.TRAIN}
    found = []
    for checked in rows:
        other = seen.get(checked.image_sha256)
        if checked.row.split == Split.TRAIN and other is not None:
            found.append(
                f"{checked.row.where}: the train image {checked.name} is also in {other.split} "
                f"({other.where}). Remove one of the two rows: scores on training images are meaningless"
            )
    return found


def data_sha256(rows: Sequence[CheckedRow]) -> str:
    """Return a hash of the images, masks and splits of rows, independent of their order."""
    parts = sorted([r.pixels_sha256, r.row.split, r.foreground_pixels, r.labels_sha256] for r in rows)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def mended_warnings(rows: Sequence[CheckedRow]) -> list[str]:
    """Return warnings about files that were not read exactly as they state; at most 3, and the number of the rest."""
    notes = list(dict.fromkeys(note for row in rows for note in row.notes))
    more = [f"{len(notes) - _NAMED} more files were not read as their headers state; see promise data check"]
    return notes[:_NAMED] + (more if len(notes) > _NAMED else [])
