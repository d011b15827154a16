"""A data set as one value: its checked rows, how their files are read, its splits, groups, classes and hashes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, overload

from promise_seg.arguments import check_place, checks_arguments, shown, whole_number
from promise_seg.dataset.checks import (
    CheckedRow,
    check_rows,
    classes_of,
    data_sha256,
    image_notes,
    leaks,
    mask_notes,
    mended_warnings,
)
from promise_seg.dataset.manifest import Row, check_share, of_split, raise_all, scan_manifest, split_off_validation
from promise_seg.dataset.owners import grouped, owners_note
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.dataset.split_warnings import chosen_on_test_warning, divided_warning, same_pixels_warning
from promise_seg.dataset.tiles import rows_to_learn
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.images.reading import DEFAULT_READING, NO_OPTIONS, Reading, ReadingOptions, parse_classes
from promise_seg.images.tiles import Tiling
from promise_seg.progress import Progress, silent
from promise_seg.storage.remote_paths import as_path
from promise_seg.validation import make_options
from promise_seg.vocabulary import MaskKind, Split, SplitChoice

_MOST_ROWS_READ_BESIDE_PROBLEMS = 1000
"""The largest number of rows with which files are read although other rows cannot be used."""


@dataclass(frozen=True)
class Dataset(Sequence[CheckedRow]):
    """A sequence of rows whose files were read once without problems.

    Args:
        rows: images, and slices of volumes, in the order of the manifest.
        reading: how all of the files are read.
        path: the manifest, if there is one.
        wanted_classes: the requested classes of label maps; ``None`` for all.
        val_share: the share of train rows that became val rows; ``None`` if no row was moved.
        options: the requested reading options.
    """

    rows: tuple[CheckedRow, ...]
    reading: Reading
    path: Path | None = None
    wanted_classes: tuple[int, ...] | None = None
    val_share: float | None = None
    options: ReadingOptions = NO_OPTIONS

    @classmethod
    @checks_arguments("progress")
    def from_csv(
        cls,
        path: str | Path,
        *,
        window: str | None = None,
        channel: str | None = None,
        channels: str | Sequence[str | int] | None = None,
        axis: str | None = None,
        crop_border: bool | None = None,
        classes: str | int | Sequence[int] | None = None,
        instances: bool = False,
        mask_threshold: float | None = None,
        tile: int | str | None = None,
        overlap: int | None = None,
        level: int | None = None,
        split: str | Sequence[str] = SplitChoice.ALL,
        val_share: float | None = None,
        seed: int = 0,
        like: Reading | None = None,
        progress: Progress = silent,
    ) -> Self:
        """Read a manifest, and check the files of all its rows.

        >>> data = Dataset.from_csv("polyps.csv", window="own")
        >>> len(data.train), len(data.val), len(data.test)
        (4, 2, 2)

        Args:
            path: a CSV with the columns ``image_name,train_type,mask_name``, or its address.
            window: how values become grey levels: ``own``, ``percentile``, ``LEVEL,WIDTH``, or ``brain``, ``lung`` ...
            channel: the colour channel that is used as grey: ``all``, ``red``, ``green`` or ``blue``.
            channels: the channels for the three inputs of SAM, by number from 0 or by name: ``"2,0,1"``,
                ``["DAPI", "GFP"]``; ``-`` for an input that stays black.
            axis: the axis that volumes are sliced along: ``auto``, ``axial``, ``coronal`` or ``sagittal``.
            crop_border: whether the black border around images is cropped.
            classes: the class or classes to use if masks are label maps, or ``all``.
            instances: whether masks are instance maps, in which each value is one object.
            mask_threshold: the value that pixels of a grey mask must exceed to be foreground.
            tile: side of the tiles that large images are divided into, in pixels; ``auto`` to let training choose
                it, ``none`` for whole images.
            overlap: number of pixels that neighbouring tiles share.
            level: the pyramid level of a TIFF to read; 0 is the finest.
            split: ``train``, ``val`` or ``test``, or several of them, to read only the files of these rows; or ``all``.
            val_share: the share of train rows to turn into val rows, in whole groups, if there are no val rows;
                ``None`` leaves the rows as they are.
            seed: seed for the choice of val rows.
            like: the reading that options override, such as ``model.reading``.
            progress: called for each row.

        Raises:
            SettingsError: if an option is invalid; the message names it.
            ManifestError: if rows cannot be used; the message lists all problems of all rows.
        """
        options = make_options(
            ReadingOptions,
            window=window, channel=channel, channels=_joined(channels, "channels"), axis=axis, crop_border=crop_border,
            label=_joined(classes, "classes"), instances=instances, mask_threshold=mask_threshold, tile=tile,
            overlap=overlap, level=level,
        )  # fmt: skip
        reading = options.applied_to(_base_reading(like))
        if val_share is not None:
            check_share(val_share)
        seed, wanted = whole_number(seed, "seed", 0), _wanted_splits(split)
        rows = grouped(_usable_rows(path, reading, wanted, progress), _read_for(wanted))
        moved = None if of_split(rows, Split.VAL) else val_share
        if moved is not None:
            rows = split_off_validation(rows, share=moved, seed=seed)
        if SplitChoice.ALL not in wanted:
            rows = [row for row in rows if row.split in wanted]
            if not rows:
                raise ManifestError(f"{path}: no {' or '.join(sorted(wanted))} rows; choose another --split")
        several = None if options.label is None or reading.label is not None else parse_classes(str(options.label))
        return cls(
            tuple(check_rows(rows, reading, progress)),
            reading,
            as_path(path),
            None if several is None else tuple(several),
            moved,
            options,
        )

    @overload
    def __getitem__(self, index: int) -> CheckedRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[CheckedRow]: ...
    def __getitem__(self, index: int | slice) -> CheckedRow | Sequence[CheckedRow]:
        """Return one row, or a slice of the rows."""
        return self.rows[index]

    def __len__(self) -> int:
        """The number of images and slices."""
        return len(self.rows)

    def __repr__(self) -> str:
        """Return the path of the manifest with the number of rows in each split and the number of groups."""
        counts = ", ".join(f"{len(self.of_split(split))} {split}" for split in Split)
        return f"Dataset({str(self.path) if self.path else 'rows'!r}: {counts}; {len(self.groups)} groups)"

    @property
    def train(self) -> tuple[CheckedRow, ...]:
        """The training rows."""
        return self.of_split(Split.TRAIN)

    @property
    def val(self) -> tuple[CheckedRow, ...]:
        """The validation rows, which the best epoch is chosen on."""
        return self.of_split(Split.VAL)

    @property
    def test(self) -> tuple[CheckedRow, ...]:
        """The test rows, which are meant to be scored only once."""
        return self.of_split(Split.TEST)

    def of_split(self, split: str) -> tuple[CheckedRow, ...]:
        """Return the rows of one split, or of ``all`` splits.

        Raises:
            SettingsError: if there is no such split.
        """
        if split not in (*Split, SplitChoice.ALL):
            raise SettingsError(f"split {split!r}: expected {', '.join(Split)} or {SplitChoice.ALL}")
        return tuple(row for row in self.rows if split in (row.row.split, SplitChoice.ALL))

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the groups, such as patients, each once, in order of appearance."""
        return tuple(dict.fromkeys(row.row.group for row in self.rows))

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes in the label maps, in ascending order; empty for other kinds of masks."""
        return tuple(classes_of(self.rows))

    @property
    def is_of_several_classes(self) -> bool:
        """Whether masks are label maps and no single class was chosen."""
        return self.reading.masks == MaskKind.CLASSES and self.reading.label is None

    @property
    def sha256(self) -> str:
        """The hash of the images, masks and splits of the rows, independent of their order."""
        return data_sha256(self.rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Notes about the rows, one line each.

        They are about test images that are also in ``val``, groups that are divided between splits, masks of uncertain
        meaning, channels that are left out, and files that were not read exactly as they say.
        """
        rows = list(dict.fromkeys(row.row for row in self.rows))
        found = (chosen_on_test_warning(self.rows), same_pixels_warning(self.rows), divided_warning(rows))
        first = [words for words in found if words is not None]
        notes = (*mask_notes(self.rows).values(), *image_notes(self.rows).values(), *mended_warnings(self.rows))
        return (*first, *notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on what was done with the rows, one line each: whether patients in DICOM files made groups of them."""
        found = owners_note(list(dict.fromkeys(row.row for row in self.rows)))
        return () if found is None else (found,)

    def of_class(self, label: int) -> Self:
        """Return the data set with only one class of its label maps: the other classes become background.

        Raises:
            SettingsError: if the masks are not label maps.
        """
        if self.reading.masks != MaskKind.CLASSES:
            raise SettingsError(
                f"class {label}: the masks were not read as label maps. Load the data set with classes='all'"
            )
        return replace(
            self, rows=tuple(row.of_class(label) for row in self.rows), reading=self.reading.of_class(label),
            wanted_classes=(label,),
        )  # fmt: skip

    def with_tiles(self, tiles: Tiling | None) -> Self:
        """Return the data set with another tiling, or with whole images for ``None``."""
        reading = self.reading.model_copy(update={"tiles": tiles})
        return replace(self, rows=tuple(replace(row, reading=reading) for row in self.rows), reading=reading)

    def to_learn(self) -> Self:
        """Return the data set with the tiles of large train and val images as separate rows."""
        return replace(self, rows=tuple(rows_to_learn(self.rows)))

    def with_validation(self, share: float = DEFAULT_VAL_SHARE, seed: int = 0) -> Self:
        """Return the data set with about ``share`` of its train rows turned into val rows, in whole groups.

        A data set that already has val rows is returned unchanged.

        Raises:
            SettingsError: if the share is not between 0 and 1.
            ManifestError: if there are fewer than two groups to split, or an image would be in ``train`` and ``val``.
        """
        check_share(share)
        if self.val:
            return self
        rows = list(dict.fromkeys(row.row for row in self.rows))
        splits = {row.where: row.split for row in split_off_validation(rows, share=share, seed=seed)}
        checked = tuple(replace(one, row=replace(one.row, split=splits[one.row.where])) for one in self.rows)
        raise_all(leaks(checked))
        return replace(self, rows=checked, val_share=share)

    def with_validation_by_image(self, seed: int) -> Self:
        """Return the data set with the val rows that earlier versions took, which did not read patients from DICOM
        files.

        The rows must include all train and val rows of the manifest. Data sets whose val rows are in the manifest, or
        in which no patients were found, are returned unchanged; the groups of the rows are kept.
        """
        if self.val_share is None or not any(row.row.is_of_owner for row in self.rows):
            return self
        rows = [
            replace(row, split=Split.TRAIN if row.split == Split.VAL else row.split,
                    group=str(row.image) if row.is_of_owner else row.group)
            for row in dict.fromkeys(row.row for row in self.rows)
        ]  # fmt: skip
        splits = {row.where: row.split for row in split_off_validation(rows, share=self.val_share, seed=seed)}
        return replace(
            self, rows=tuple(replace(one, row=replace(one.row, split=splits[one.row.where])) for one in self.rows)
        )


def _base_reading(like: object) -> Reading:
    """Return the reading that options override: the one that a user gives, or else the default.

    Raises:
        SettingsError: if it is something else.
    """
    if not isinstance(like, Reading | None):
        raise SettingsError(f"like {shown(like)}: expected how a model reads files, such as model.reading")
    return like or DEFAULT_READING


def _usable_rows(path: str | Path, reading: Reading, wanted: set[str], progress: Progress) -> list[Row]:
    """Return the rows of a manifest in which every row can be used.

    If some rows cannot be used, the files of the others are checked too, so that all problems are raised together,
    except in long manifests, whose files take long to read.

    Raises:
        ManifestError: if rows cannot be used; the message lists all problems of all rows.
        SettingsError: if ``path`` is not a path.
    """
    check_place(path, "manifest")
    rows, problems = scan_manifest(path)
    if len(rows) > _MOST_ROWS_READ_BESIDE_PROBLEMS:
        raise_all(problems)
    if problems:
        check_rows(
            [row for row in rows if SplitChoice.ALL in wanted or row.split in wanted], reading, progress, problems
        )
    return rows


def _read_for(wanted: set[str]) -> set[str]:
    """Return the splits whose rows must be known; val rows may be taken from train rows."""
    if SplitChoice.ALL in wanted:
        return set(Split)
    return wanted | {Split.TRAIN} if Split.VAL in wanted else wanted


def _wanted_splits(split: object) -> set[str]:
    """Return the names of splits that a user gives, as a single name or several.

    Raises:
        SettingsError: if a name is not a split or ``all``, or there is none.
    """
    given = [split] if isinstance(split, str) or not isinstance(split, Iterable) else list(split)
    names = {name for name in given if isinstance(name, str) and name in tuple(SplitChoice)}
    if not names or len(names) < len(given):
        raise SettingsError(f"split {shown(split)}: expected {', '.join(SplitChoice)}, or several of these")
    return names


def _joined(values: str | int | Iterable[str | int] | None, name: str) -> str | None:
    """Return classes or channels in the form used on the command line: ``1,2,5``.

    Raises:
        SettingsError: if they are neither text nor whole numbers; the message names the argument.
    """
    if values is None or isinstance(values, str):
        return values
    several = values if isinstance(values, Iterable) else [values]
    return ",".join(one if isinstance(one, str) else str(whole_number(one, name)) for one in several)
