"""A data set as one value: its checked rows, how their files are read, its splits, groups, classes and hashes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, overload

from promise_seg.arguments import whole_number
from promise_seg.dataset.checks import (
    CheckedRow,
    check_rows,
    classes_of,
    data_sha256,
    divided_warning,
    image_notes,
    leaks,
    mask_notes,
    mended_warnings,
)
from promise_seg.dataset.manifest import check_share, of_split, raise_all, read_manifest, split_off_validation
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.dataset.tiles import rows_to_learn
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.images.reading import DEFAULT_READING, NO_OPTIONS, Reading, ReadingOptions, parse_classes
from promise_seg.images.tiles import Tiling
from promise_seg.progress import Progress, silent
from promise_seg.remote_paths import as_path
from promise_seg.validation import make_options
from promise_seg.vocabulary import MaskKind, Split, SplitChoice


@dataclass(frozen=True)
class Dataset(Sequence[CheckedRow]):
    """Rows whose files were read once without a complaint; a sequence of them.

    Args:
        rows: images, and slices of volumes, in the order of the manifest.
        reading: how all of their files are read.
        path: the manifest, where there is one.
        wanted_classes: the classes of label maps that were asked for; ``None`` for all.
        val_share: the share of train rows that became val rows; ``None`` if no row was moved.
        options: what was asked for in reading the files.
    """

    rows: tuple[CheckedRow, ...]
    reading: Reading
    path: Path | None = None
    wanted_classes: tuple[int, ...] | None = None
    val_share: float | None = None
    options: ReadingOptions = NO_OPTIONS

    @classmethod
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
            window: how values become grey: ``own``, ``percentile``, ``LEVEL,WIDTH``, or ``brain``, ``lung`` ...
            channel: which colour channel is taken as grey: ``all``, ``red``, ``green`` or ``blue``.
            channels: which channels become the three inputs of SAM, by number from 0 or by name: ``"2,0,1"``,
                ``["DAPI", "GFP"]``; ``-`` for an input that stays black.
            axis: what volumes are cut across: ``auto``, ``axial``, ``coronal`` or ``sagittal``.
            crop_border: whether the black border around images is cropped.
            classes: masks are label maps: the class that is wanted, several, or ``all``.
            instances: masks are instance maps, in which each value is one object.
            mask_threshold: grey mask values above it are foreground.
            tile: side of the tiles that large images are divided into, in pixels; ``auto`` for one that training
                chooses, ``none`` for whole images.
            overlap: how many pixels neighbouring tiles share.
            level: which level of a pyramid in a TIFF is read; 0 is the finest.
            split: ``train``, ``val`` or ``test``, or several of them, to read only the files of these rows; or ``all``.
            val_share: how much of ``train`` becomes ``val`` where there are no val rows, in whole groups; ``None``
                leaves the rows as they are.
            seed: of that choice.
            like: how files are read where nothing else is said, such as ``model.reading``.
            progress: told of each row.

        Raises:
            SettingsError: naming the option that cannot be meant.
            ManifestError: with all problems of all rows at once.
        """
        options = make_options(
            ReadingOptions,
            window=window, channel=channel, channels=_joined(channels, "channels"), axis=axis, crop_border=crop_border,
            label=_joined(classes, "classes"), instances=instances, mask_threshold=mask_threshold, tile=tile,
            overlap=overlap, level=level,
        )  # fmt: skip
        reading = options.applied_to(DEFAULT_READING if like is None else like)
        if val_share is not None:
            check_share(val_share)
        rows = read_manifest(path)
        moved = None if of_split(rows, Split.VAL) else val_share
        if moved is not None:
            rows = split_off_validation(rows, share=moved, seed=seed)
        if split != SplitChoice.ALL:
            wanted = {split} if isinstance(split, str) else set(split)
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
        """One row, or some of them."""
        return self.rows[index]

    def __len__(self) -> int:
        """The number of images and slices."""
        return len(self.rows)

    def __repr__(self) -> str:
        """The number of images in each split."""
        counts = ", ".join(f"{len(self.of_split(split))} {split}" for split in Split)
        return f"Dataset({str(self.path) if self.path else 'rows'!r}: {counts}; {len(self.groups)} groups)"

    @property
    def train(self) -> tuple[CheckedRow, ...]:
        """The rows to learn from."""
        return self.of_split(Split.TRAIN)

    @property
    def val(self) -> tuple[CheckedRow, ...]:
        """The rows to choose the best epoch on."""
        return self.of_split(Split.VAL)

    @property
    def test(self) -> tuple[CheckedRow, ...]:
        """The rows to report on, once."""
        return self.of_split(Split.TEST)

    def of_split(self, split: str) -> tuple[CheckedRow, ...]:
        """The rows of one split, or ``all``.

        Raises:
            SettingsError: if there is no such split.
        """
        if split not in (*Split, SplitChoice.ALL):
            raise SettingsError(f"split {split!r}: expected {', '.join(Split)} or {SplitChoice.ALL}")
        return tuple(row for row in self.rows if split in (row.row.split, SplitChoice.ALL))

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of what must not be divided, such as patients, each once and in order of appearance."""
        return tuple(dict.fromkeys(row.row.group for row in self.rows))

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that label maps hold, in their order; none of other masks."""
        return tuple(classes_of(self.rows))

    @property
    def is_of_several_classes(self) -> bool:
        """Whether masks are label maps of which no single class was chosen."""
        return self.reading.masks == MaskKind.CLASSES and self.reading.label is None

    @property
    def sha256(self) -> str:
        """Hash of which images and masks there are in which split, in whatever order they stand."""
        return data_sha256(self.rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Notes about the rows, one line each: groups that are divided between splits, masks of uncertain meaning,
        channels that are left out, and files that were read otherwise than they say.
        """
        rows = list(dict.fromkeys(row.row for row in self.rows))
        words = divided_warning(rows)
        notes = (*mask_notes(self.rows).values(), *image_notes(self.rows).values(), *mended_warnings(self.rows))
        return notes if words is None else (words, *notes)

    def of_class(self, label: int) -> Self:
        """The same rows of label maps, for one of their classes: the other classes are background.

        Raises:
            SettingsError: if masks are no label maps.
        """
        if self.reading.masks != MaskKind.CLASSES:
            raise SettingsError(
                f"class {label}: the masks were not read as label maps. Read them so, as with classes='all'"
            )
        return replace(
            self, rows=tuple(row.of_class(label) for row in self.rows), reading=self.reading.of_class(label),
            wanted_classes=(label,),
        )  # fmt: skip

    def with_tiles(self, tiles: Tiling | None) -> Self:
        """The same, divided into other tiles, or seen as a whole."""
        reading = self.reading.model_copy(update={"tiles": tiles})
        return replace(self, rows=tuple(replace(row, reading=reading) for row in self.rows), reading=reading)

    def to_learn(self) -> Self:
        """The same with the tiles of large train and val images as rows of their own."""
        return replace(self, rows=tuple(rows_to_learn(self.rows)))

    def with_validation(self, share: float = DEFAULT_VAL_SHARE, seed: int = 0) -> Self:
        """The same with about ``share`` of the train rows as val rows, in whole groups; as it is if it has val rows.

        Raises:
            SettingsError: if the share is not one between 0 and 1.
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


def _joined(values: str | int | Iterable[str | int] | None, name: str) -> str | None:
    """Return classes or channels as the command line has them: ``1,2,5``.

    Raises:
        SettingsError: if they are neither text nor whole numbers; with the name of the argument.
    """
    if values is None or isinstance(values, str):
        return values
    several = values if isinstance(values, Iterable) else [values]
    return ",".join(one if isinstance(one, str) else str(whole_number(one, name)) for one in several)
