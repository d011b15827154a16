"""Read a data set once, one image at a time, and collect everything that is or may be wrong with it."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from promise_seg.arrays import Array, Uint8Array
from promise_seg.curation.inspection.duplicates import Thumbnails
from promise_seg.curation.inspection.findings import Finding, Kind
from promise_seg.curation.inspection.summary import SplitSummary, new_summary
from promise_seg.curation.inspection.suspicion import InvertedMasks, turned_apart
from promise_seg.dataset.checks import (
    CheckedRow,
    check_row,
    classes_of,
    emptied,
    image_notes,
    leaks,
    mask_notes,
)
from promise_seg.dataset.contrast import Contrasts
from promise_seg.dataset.manifest import Row, scan_manifest
from promise_seg.dataset.owners import divided_owners
from promise_seg.dataset.split_warnings import divided_groups
from promise_seg.errors import ImageError, MaskError, SizeError
from promise_seg.images.formats.source import finite_range
from promise_seg.images.guarding import guarded
from promise_seg.images.masks import BINARY
from promise_seg.images.readers import PairingByNumber, mask_source, pairing_by_number
from promise_seg.images.reading import DEFAULT_READING, Reading
from promise_seg.progress import Progress, counted, silent
from promise_seg.storage.remote_paths import as_path
from promise_seg.vocabulary import MaskKind, Split

TINY_SHARE = 2e-4
"""The share of the image below which an object is hardly visible to SAM."""
FULL_SHARE = 0.98
"""The share of the image above which a mask may be inverted."""
LEAST_CONTRAST = 2.0
"""The standard deviation of grey levels (0 to 255) below which an image counts as blank."""


@dataclass(frozen=True)
class Inspection:
    """The findings, in the order of the manifest, and a summary of each split."""

    manifest: Path
    findings: tuple[Finding, ...]
    summary: dict[Split, SplitSummary]

    def as_json(self) -> dict[str, Any]:
        """Return the content of the JSON report."""
        return {
            "manifest": str(self.manifest),
            "findings": [finding.as_json() for finding in self.findings],
            "splits": {str(split): of_split.as_json() for split, of_split in self.summary.items()},
        }


def inspect(manifest: str | Path, reading: Reading | None = None, progress: Progress = silent) -> Inspection:
    """Inspect a data set.

    Memory grows by a few kilobytes per image, whatever the size of the image.

    Args:
        manifest: the manifest.
        reading: how the files are read.
        progress: called for each row.

    Raises:
        ManifestError: if the manifest itself cannot be read.
        SettingsError: if the manifest is in Parquet, and ``pyarrow`` is not installed.
    """
    path = as_path(manifest)
    rows, problems = scan_manifest(path)
    run = _Run(path, reading or DEFAULT_READING)
    run.findings += [Finding(Kind.MANIFEST, *_place(problem, path)) for problem in problems]
    for row in counted(rows, progress, "checking"):
        run.inspect_row(row)
    run.compare(rows)
    return Inspection(path, tuple(sorted(run.findings, key=_order)), run.summary)


def _place(problem: str, manifest: Path) -> tuple[str, str]:
    """Split a message into the line of the manifest that it refers to, and the problem."""
    line, _, message = problem.removeprefix(str(manifest)).partition(": ")
    return f"{manifest}{line}", message


def _order(finding: Finding) -> tuple[str, int]:
    where, _, line = finding.where.rpartition(":")
    return (where, int(line)) if line.isdecimal() else (finding.where, 0)


class _Run:
    def __init__(self, manifest: Path, reading: Reading) -> None:
        self.manifest, self.reading = manifest, reading
        self.findings: list[Finding] = []
        self.summary = new_summary()
        self.checked: list[CheckedRow] = []
        self.thumbnails = Thumbnails()
        self.inverted = InvertedMasks()
        self.contrasts = Contrasts()
        self.depths: dict[str, list[str]] = defaultdict(list)
        self.values: dict[int, list[str]] = defaultdict(list)
        self.by_number: dict[PairingByNumber, list[Row]] = defaultdict(list)

    def _note(self, kind: Kind, where: str, message: str) -> None:
        self.findings.append(Finding(kind, where, message))

    def inspect_row(self, row: Row) -> None:
        """Collect the findings that concern a single row."""
        try:
            slices = check_row(row, self.reading)
        except ImageError as error:
            kind = {SizeError: Kind.SIZE, MaskError: Kind.MASK_VALUES}.get(type(error), Kind.UNREADABLE)
            self._note(kind, *_place(str(error), self.manifest))
            return
        try:
            with guarded(row.image):
                self._inspect_slices(row, slices)
        except ImageError as error:
            self._note(Kind.UNREADABLE, row.where, str(error))

    def _inspect_slices(self, row: Row, slices: list[CheckedRow]) -> None:
        for note in slices[0].notes:
            self._note(Kind.REPAIRED, row.where, note)
        for checked in slices:
            source = self.reading.open(row.image)
            values = self.reading.values(source, checked.index)
            pixels = checked.image()
            self._inspect_pixels(checked, values, pixels)
            self.inverted.add(checked.mask())
            self.summary[row.split].add(checked, finite_range(values))
            if self.reading.mask_rule == BINARY and checked.foreground_pixels:
                self.values[int(checked.labels().max())].append(row.where)
            self.thumbnails.add(pixels)
            self.checked.append(checked)  # last, so that it has as many entries as the thumbnails if reading fails
        first = slices[0]
        image, mask, shape = self.reading.open(row.image), mask_source(row.mask), (first.height, first.width)
        for opened in (image, mask):
            if opened is not None and opened.incomplete is not None:
                self._note(Kind.INCOMPLETE, row.where, f"{opened.path}: {opened.incomplete}")
        if words := turned_apart(image, mask, shape):
            self._note(Kind.ORIENTATION, row.where, words)
        if mask is not None and (pairing := pairing_by_number(mask, image)) is not None:
            self.by_number[pairing].append(row)
        whole_volume = first.is_slice  # most slices of a volume do not show the organ
        if whole_volume and self._expects_objects and not any(c.foreground_pixels for c in slices):
            self._note(Kind.EMPTY_MASK, row.where, f"{row.mask}: the mask is empty in all {len(slices)} slice(s)")

    @property
    def _expects_objects(self) -> bool:
        """Whether an empty mask is worth a warning; it is not if one class is chosen, which many images may lack."""
        return self.reading.label is None

    def _inspect_pixels(self, checked: CheckedRow, values: Array, image: Uint8Array) -> None:
        row = checked.row
        share = checked.foreground_pixels / (checked.height * checked.width)
        self.depths["8-bit" if values.dtype == np.uint8 else "deeper than 8 bits"].append(row.where)
        is_blank = image.astype(np.float32).std() < LEAST_CONTRAST
        if is_blank and not checked.is_slice:  # the first and last slices of a volume are often blank
            low, high = finite_range(image)
            self._note(
                Kind.NO_CONTRAST, row.where, f"{checked.name}: shows nothing: grey levels {low:.0f} to {high:.0f}"
            )
        if not is_blank and row.split != Split.TEST:
            self.contrasts.add(checked, image)
        if not checked.foreground_pixels and not checked.is_slice and self._expects_objects:
            self._note(Kind.EMPTY_MASK, row.where, f"{row.mask}: the mask is empty")
        elif share > FULL_SHARE:
            self._note(Kind.FULL_MASK, row.where, f"{row.mask}: covers {share:.1%} of the image; is it inverted?")
        elif 0 < share < TINY_SHARE and not checked.is_slice:
            self._note(
                Kind.TINY_OBJECT, row.where,
                f"{row.mask}: {checked.foreground_pixels} pixel(s), {share:.4%} of the image; a stray click?",
            )  # fmt: skip

    def compare(self, rows: list[Row]) -> None:
        """Collect the findings that require comparing rows."""
        for problem in leaks(self.checked):
            self._note(Kind.LEAK, *_place(problem, self.manifest))
        for problem in emptied(self.checked):
            self._note(Kind.MASK_VALUES, *_place(problem, self.manifest))
        for row, words in mask_notes(self.checked).items():
            self._note(Kind.MASK_MEANING, row.where, words)
        for row, words in image_notes(self.checked).items():
            self._note(Kind.CHANNELS, row.where, words)
        for pairing, members in self.by_number.items():
            more = f". The same holds for {len(members) - 1} other row(s)" if len(members) > 1 else ""
            self._note(
                Kind.MATCHED_BY_NUMBER, members[0].where,
                f"{members[0].mask}: {pairing.why}, so they were matched by number only{more}. Look whether they "
                f"fit (promise data show), or save {pairing.better}",
            )  # fmt: skip
        if (warning := self.inverted.warning()) is not None:
            self._note(Kind.INVERTED_MASKS, str(self.manifest), warning)
        if (advice := self.contrasts.advice()) is not None:
            self._note(Kind.LOW_CONTRAST, str(self.manifest), advice)
        self._duplicates()
        for group in divided_groups(rows):
            members = [row for row in rows if row.group == group]
            splits = sorted({str(row.split) for row in members})
            self._note(
                Kind.DIVIDED_GROUP, members[0].where,
                f"the group {group!r} has {len(members)} rows, in {' and '.join(splits)}; frames or slices of one "
                "source look alike, so scores on them are too optimistic",
            )  # fmt: skip
        self._divided_owners(rows)
        self._depths()
        self._mask_values()
        for split in (Split.TRAIN, Split.TEST):
            if not any(row.split == split for row in rows):
                self._note(Kind.SPLITS, str(self.manifest), f"no {split} rows; see promise data split")
        label = self.reading.label
        if self.reading.masks == MaskKind.CLASSES and label is not None:
            classes = classes_of(self.checked)
            if label not in classes:
                contents = ", ".join(map(str, classes)) or "nothing"
                self._note(
                    Kind.CLASS_MISSING,
                    str(self.manifest),
                    f"no mask contains the class {label}; they contain {contents}",
                )

    def _divided_owners(self, rows: list[Row]) -> None:
        """Note the patients, studies and series named by DICOM files that are divided between splits.

        They are noted whatever the groups of their rows, unless these groups were noted as divided already.
        """
        known = divided_groups(rows)
        for owner, members in divided_owners(rows):
            if {row.group for row in members} <= set(known):
                continue  # reported already
            splits = sorted({str(row.split) for row in members})
            self._note(
                Kind.DIVIDED_GROUP, members[0].where,
                f"the {owner.kind} {owner.name!r} has {len(members)} rows, in {' and '.join(splits)}, as the DICOM "
                "files themselves say; images of one source look alike, so scores on them are too optimistic. Give "
                "these rows one group and divide the manifest again (promise data split)",
            )  # fmt: skip

    def _mask_values(self) -> None:
        """Note binary masks whose foreground is 1 in some files and 2 in others, which are probably two classes."""
        if set(self.values) - {1, 255} and len(self.values) > 1:
            counts = ", ".join(f"{value} in {len(places)}" for value, places in sorted(self.values.items()))
            rare = min(self.values, key=lambda value: len(self.values[value]))
            self._note(
                Kind.VALUES_DIFFER, self.values[rare][0],
                f"masks differ in the value of their foreground ({counts}), and all are read as one class. If the "
                "values are classes, pass --class",
            )  # fmt: skip

    def _duplicates(self) -> None:
        by_hash: dict[str, CheckedRow] = {}
        for checked in self.checked:
            other = by_hash.setdefault(checked.image_sha256, checked)
            where = other.row.where
            if other is not checked and (
                other.row.split == checked.row.split or Split.TRAIN not in _splits(other, checked)
            ):
                self._note(
                    Kind.DUPLICATE, checked.row.where,
                    f"{checked.name}: the same image as {other.name} ({where}), with {_masks(checked, other)}",
                )  # fmt: skip
        splits, groups = [str(c.row.split) for c in self.checked], [c.row.group for c in self.checked]
        for pair in self.thumbnails.near_duplicates(splits, groups):
            first, second = self.checked[pair.first], self.checked[pair.second]
            if first.image_sha256 != second.image_sha256:  # otherwise it is reported as a leak or a duplicate
                self._note(
                    Kind.NEAR_DUPLICATE, second.row.where,
                    f"{second.name} in {second.row.split} looks the same as {first.name} in {first.row.split} "
                    f"({first.row.where}){', flipped or rotated' if pair.reoriented else ''}",
                )  # fmt: skip

    def _depths(self) -> None:
        if len(self.depths) > 1:
            rare, common = sorted(self.depths, key=lambda depth: len(self.depths[depth]))
            self._note(
                Kind.DEPTH, self.depths[rare][0],
                f"{len(self.depths[rare])} image(s) are {rare}, but {len(self.depths[common])} are {common}; are "
                "their values comparable?",
            )  # fmt: skip


def _masks(one: CheckedRow, other: CheckedRow) -> str:
    """Return words on whether two rows of the same image have the same mask."""
    if one.truth_values_sha256 == other.truth_values_sha256:
        return "the same mask"
    return "a different mask: training and evaluation use both as ground truth. Keep one of the rows"


def _splits(*rows: CheckedRow) -> set[Split]:
    return {checked.row.split for checked in rows}
