"""Write a copy of a manifest with every row assigned to a split, or one manifest per cross-validation fold."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from promise_seg.curation.similar_rows import SimilarRows
from promise_seg.dataset.checks import check_row
from promise_seg.dataset.dealing import TOLERANCE
from promise_seg.dataset.manifest import Row, of_split, raise_all, read_manifest
from promise_seg.dataset.manifest_writing import ManifestTable, Written, write_new
from promise_seg.dataset.owners import grouped, owners_note
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.dataset.splitting import SplitSummary, fold_rows, split_rows, summarise
from promise_seg.errors import ImageError, ManifestError, SettingsError
from promise_seg.images.guarding import guarded
from promise_seg.images.reading import Reading
from promise_seg.progress import Progress, counted, silent
from promise_seg.vocabulary import MaskKind, Split

Bar = Callable[[], AbstractContextManager[Progress]]
"""A function that opens a progress bar; it is called only after all settings have been checked."""


def _no_bar() -> AbstractContextManager[Progress]:
    return nullcontext(silent)


@dataclass(frozen=True)
class Shares:
    """How the rows of a manifest are divided into splits or folds.

    Args:
        val, test: shares of the rows; ``None`` for the default share.
        keep_test: whether test rows stay as they are; ``val`` is then a share of the other rows.
        folds: number of cross-validation folds to write instead of a single manifest with ``val`` rows.
        seed: seed of the assignment.
    """

    val: float | None = None
    test: float | None = None
    keep_test: bool = False
    folds: int | None = None
    seed: int = 0

    def check(self) -> None:
        """Check that the options do not contradict each other.

        Raises:
            SettingsError: if they do; the message names the options.
        """
        if self.keep_test and self.test is not None:
            raise SettingsError("--test and --keep-test: give one of them")
        if self.folds is not None and self.val is not None:
            raise SettingsError("--val and --folds: give one of them; each of K folds has 1/K of the rows as val")

    def wanted(self) -> dict[Split, float]:
        """Return the shares of val and test, with defaults filled in."""
        val, test = (DEFAULT_VAL_SHARE if share is None else share for share in (self.val, self.test))
        return {Split.VAL: val, Split.TEST: 0.0 if self.keep_test else test}

    def divide(self, rows: Sequence[Row], size: Callable[[Row], float]) -> list[list[Row]]:
        """Return the rows with their new splits: one list, or one list per fold."""
        val, test = self.wanted().values()
        if self.folds is None:
            return [split_rows(rows, size, val=val, test=test, keep_test=self.keep_test, seed=self.seed)]
        return fold_rows(rows, size, folds=self.folds, test=test, keep_test=self.keep_test, seed=self.seed)

    def files(self, output: Path) -> list[Path]:
        """Return the paths of the manifests to write."""
        if self.folds is None:
            return [output]
        return [output.with_name(f"{output.stem}_fold{fold}{output.suffix}") for fold in range(self.folds)]


@dataclass(frozen=True)
class Divided:
    """The manifests that were written, each with the statistics of its splits, and notes for the user.

    ``outcomes`` tells for each manifest whether it was written, replaced another one, or was there already.
    """

    files: dict[Path, list[SplitSummary]]
    notes: tuple[str, ...]
    outcomes: Mapping[Path, Written] = field(default_factory=dict)


def divide_manifest(
    manifest: Path,
    output: Path,
    shares: Shares,
    reading: Reading,
    *,
    near_duplicates: bool = True,
    force: bool = False,
    bar: Bar = _no_bar,
    note: Callable[[str], object] = lambda line: None,
) -> Divided:
    """Assign every row of a manifest to a split: groups stay whole, and splits have objects of similar sizes.

    Args:
        manifest: the manifest to divide.
        output: the manifest to write; folds are written next to it, with the fold number appended to the name.
        shares: how the rows are divided.
        reading: how the files are read.
        near_duplicates: whether groups with near-duplicates of each other are assigned to one split. Slices of volumes
            are not compared.
        force: whether existing files are replaced; not needed if their content would stay the same.
        bar: opens a progress bar while masks are measured.
        note: called with a line on how the rows were grouped.

    Raises:
        SettingsError: if the shares or the number of folds are invalid.
        ManifestError: if files cannot be read (the message lists the first 20), or if there are too few groups.
        PromiseError: if an output file exists and ``force`` is not set, or cannot be written.
    """
    rows = _grouped(read_manifest(manifest), note)
    table = ManifestTable.read(manifest)
    sizes: dict[str, float] = {}
    objects: dict[str, list[list[int]]] = {}
    similar = SimilarRows() if near_duplicates else None

    def size(row: Row) -> float:
        if not sizes:  # only after the settings were checked
            sizes.update(_object_sizes(rows, reading, bar, similar, objects))
        return sizes[row.where]

    new_rows_of_files = shares.divide(rows, size)  # first, as it rejects more folds than groups
    if similar is not None and (joined := similar.join(rows, keep_test=shares.keep_test)).note:
        note(joined.note)
        new_rows_of_files = _divide_joined(joined.rows, shares, size)
    divided = dict(zip(shares.files(output), new_rows_of_files, strict=True))
    tables = [
        table.with_splits({row.where: row.split for row in new_rows}).moved_to(name)
        for name, new_rows in divided.items()
    ]
    outcomes = write_new(tables, force=force)
    of_objects = (lambda row: objects[row.where]) if reading.masks == MaskKind.INSTANCES else None
    summaries = {name: summarise(new_rows, size, of_objects) for name, new_rows in divided.items()}
    notes = _of_test_rows(manifest, rows, shares)
    if similar is not None and shares.keep_test:
        notes += similar.across_test()
    if shares.folds is None:
        notes += _of_shares(divided[output], shares)
    return Divided(summaries, tuple(notes), outcomes)


def _grouped(rows: list[Row], note: Callable[[str], object]) -> list[Row]:
    """Group rows that have no group by the identifiers in their DICOM files, and report how the rows are grouped."""
    together = grouped(rows)
    if (words := owners_note(together)) is not None:
        note(f"note: {words}")
    if not any(row.has_group for row in together):
        note(
            "note: no row has a group, so each image is a group of its own. If several are of one patient or video, "
            "add a column group (promise data make --group)"
        )
    return together


def _divide_joined(rows: Sequence[Row], shares: Shares, size: Callable[[Row], float]) -> list[list[Row]]:
    """Divide rows whose groups were joined because of near-duplicates.

    Raises:
        ManifestError: if too few groups are left.
    """
    try:
        return shares.divide(rows, size)
    except ManifestError as error:
        raise ManifestError(f"{error}. Or pass --no-near-duplicates to divide images that look the same") from error


def _object_sizes(
    rows: Sequence[Row], reading: Reading, bar: Bar, similar: SimilarRows | None, objects: dict[str, list[list[int]]]
) -> dict[str, float]:
    """Return the share of foreground of each image in [0, 1], keyed by the row's ``where``.

    Images are added to ``similar``, except slices of volumes. The number of pixels of each object of instance maps is
    added to ``objects``, in a list for each image or slice.

    Raises:
        ManifestError: if files cannot be read; the message lists the first 20.
    """
    sizes, problems = {}, []
    with bar() as progress:
        for row in counted(rows, progress, "measuring masks"):
            try:
                slices = check_row(row, reading)
                pixels = sum(one.height * one.width for one in slices)
                sizes[row.where] = sum(one.foreground_pixels for one in slices) / pixels
                if reading.masks == MaskKind.INSTANCES:
                    with guarded(row.image):
                        objects[row.where] = [one.object_pixels() for one in slices]
                if similar is not None and not slices[0].is_slice:
                    with guarded(row.image):
                        similar.add(row, slices[0].image())
            except ImageError as error:
                problems.append(str(error))
    raise_all(problems)
    return sizes


def _of_test_rows(manifest: Path, rows: Sequence[Row], shares: Shares) -> list[str]:
    """Return a note about the rows that were test rows before, or an empty list."""
    old_test = len(of_split(rows, Split.TEST))
    if shares.keep_test:
        return [] if old_test else [f"warning: {manifest} has no test rows to keep"]
    again = f"{old_test} row(s) were test before and were assigned again; --keep-test leaves them as they are"
    return [again] if old_test else []


def _of_shares(rows: Sequence[Row], shares: Shares) -> list[str]:
    """Return warnings about splits whose requested share could not be met without dividing groups."""
    rows = [row for row in rows if not shares.keep_test or row.split != Split.TEST]
    found = []
    for name, wanted in shares.wanted().items():
        got = sum(row.split == name for row in rows) / len(rows)
        if abs(got - wanted) > TOLERANCE:
            found.append(
                f"warning: {name} has {got:.0%} of the rows, not {wanted:.0%}, as groups are never divided: there are "
                f"{len({row.group for row in rows})} groups of {len(rows)} rows"
            )
    return found
