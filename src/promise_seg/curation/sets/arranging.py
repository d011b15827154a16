"""Arrange unpacked archives as ``images/``, ``masks/`` and a manifest with the published splits.

If no validation rows were published, a share of the train rows becomes ``val``.
"""

import csv
import filecmp
import io
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from promise_seg.curation.sets import clinicdb
from promise_seg.curation.sets.known_sets import ArchivePart, KnownSet
from promise_seg.curation.sets.mask_pictures import read_binary_mask
from promise_seg.curation.sets.pairing import ArchivePair, find_pairs, picture_folders
from promise_seg.dataset.manifest import Row, split_off_validation
from promise_seg.errors import PromiseError
from promise_seg.storage.files import replacing, write_text, write_whole
from promise_seg.storage.hashing import file_sha256
from promise_seg.storage.strays import remove_strays
from promise_seg.vocabulary import Split

MANIFEST = "manifest.csv"
VALIDATION_SHARE = 0.1
VALIDATION_SEED = 0


@dataclass(frozen=True, kw_only=True)
class SetRow:
    """A line of the manifest to write; ``image`` and ``mask`` are relative to it, ``group`` is empty if unknown."""

    image: str
    mask: str
    split: Split
    dataset: str
    group: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """The number of rows by split, of thresholded masks, and of published train rows that are used for validation."""

    rows: dict[str, int]
    cut_masks: int
    own_validation: int


def arrange(
    known: KnownSet,
    name: str,
    roots: Sequence[Path],
    folder: Path,
    *,
    test_names: frozenset[str] = frozenset(),
    may_link: bool = False,
    progress: Callable[[int], object] = lambda done: None,
) -> Arranged:
    """Arrange a data set. Images are copied byte for byte, masks are rewritten as PNG with 0 and 255.

    Every file is written completely or not at all. The manifest is written last, so that training cannot use an
    unfinished set. Files left by an interrupted call are reused or replaced.

    Args:
        known: the data set.
        name: its name, for messages.
        roots: folders that its archives were unpacked to.
        folder: the folder to write to.
        test_names: image names without suffix that become test rows, for sets whose archives define no split.
        may_link: whether files may be hard-linked instead of copied, because the roots are temporary.
        progress: called with the number of images that are done.

    Raises:
        PromiseError: if files are missing, or cannot be read or written. There is no manifest then.
    """
    folders = picture_folders(roots)
    pairs_by_part = [(part, find_pairs(folders, part, name)) for part in known.parts]
    for part, pairs in pairs_by_part:
        _check_numbered(part, pairs, name)
    (folder / MANIFEST).unlink(missing_ok=True)
    _remove_half_written(folder)
    rows, cut_masks = [], 0
    for part, pairs in pairs_by_part:
        for pair in pairs:
            row, was_cut = _arrange_pair(part, pair, folder, test_names, may_link)
            rows.append(row)
            cut_masks += was_cut
            progress(len(rows))
    _check_test_names(test_names, rows, name)
    published = Counter(row.split for row in rows)
    splits = _with_own_validation(rows, name)
    counts = Counter(splits)
    write_text(folder / MANIFEST, _manifest(rows, splits))
    return Arranged(
        rows={split.value: counts[split] for split in Split},
        cut_masks=cut_masks,
        own_validation=counts[Split.VAL] - published[Split.VAL],
    )


def _check_numbered(part: ArchivePart, pairs: Sequence[ArchivePair], name: str) -> None:
    numbered = sum(pair.image.stem.isdigit() for pair in pairs)
    if part.numbered and numbered != part.numbered_count:
        raise PromiseError(
            f"{name}: {numbered} images are named by numbers, as those of {part.numbered}; expected "
            f"{part.numbered_count}. Use the archive as it was published"
        )


def _remove_half_written(folder: Path) -> None:
    """Remove temporary files of a killed run."""
    for kind in ("images", "masks"):
        for inside in (folder / kind, *(path for path in (folder / kind).rglob("*") if path.is_dir())):
            remove_strays(inside)


def _arrange_pair(
    part: ArchivePart, pair: ArchivePair, folder: Path, test_names: frozenset[str], may_link: bool
) -> tuple[SetRow, bool]:
    dataset = part.numbered if part.numbered and pair.image.stem.isdigit() else part.dataset
    image = Path("images", part.folder, pair.image.name)
    mask = Path("masks", part.folder, pair.image.stem + ".png")
    _copy(pair.image, folder / image, may_link)
    binary = read_binary_mask(pair.mask)
    write_whole(folder / mask, lambda path: Image.fromarray(binary.pixels).save(path))
    row = SetRow(
        image=image.as_posix(),
        mask=mask.as_posix(),
        split=Split.TEST if pair.image.stem in test_names else part.split,
        dataset=dataset,
        group=clinicdb.sequence_of(pair.image.stem) if dataset == clinicdb.DATASET else "",
        sha256=file_sha256(folder / image),
    )
    return row, binary.was_cut


def _copy(source: Path, target: Path, may_link: bool) -> None:
    if target.exists() and filecmp.cmp(source, target, shallow=False):
        return
    with replacing(target) as temporary:
        if may_link:
            temporary.unlink()
            try:
                os.link(source, temporary)
            except OSError:
                shutil.copyfile(source, temporary)
        else:
            shutil.copyfile(source, temporary)


def _check_test_names(test_names: frozenset[str], rows: Sequence[SetRow], name: str) -> None:
    missing = sorted(test_names - {Path(row.image).stem for row in rows})
    if missing:
        raise PromiseError(
            f"--test-list: {len(missing)} of {len(test_names)} names are not in {name}, for example {missing[0]}. "
            "Expected names of its images, one per line"
        )


def _with_own_validation(rows: Sequence[SetRow], name: str) -> list[Split]:
    """Return the split of each row, with some train rows as val if no val rows were published.

    Groups are never divided, and byte-identical images stay together.
    """
    present = {row.split for row in rows}
    if Split.VAL in present or Split.TRAIN not in present:
        return [row.split for row in rows]
    first_with: dict[str, str] = {}
    for row in rows:
        first_with.setdefault(row.sha256, row.group or row.image)
    candidates = [
        Row(where=f"{name}:0", image=Path(row.image), mask=Path(row.mask), split=row.split,
            group=row.group or first_with[row.sha256])
        for row in rows
    ]  # fmt: skip
    return [row.split for row in split_off_validation(candidates, share=VALIDATION_SHARE, seed=VALIDATION_SEED)]


def _manifest(rows: Sequence[SetRow], splits: Sequence[Split]) -> str:
    """Return the text of the manifest, with the columns ``group`` and ``dataset`` only if they carry information."""
    has_groups = any(row.group for row in rows)
    has_datasets = len({row.dataset for row in rows}) > 1
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image_name", "train_type", "mask_name"] + ["group"] * has_groups + ["dataset"] * has_datasets)
    for row, split in zip(rows, splits, strict=True):
        writer.writerow(
            [row.image, split, row.mask] + [row.group] * has_groups + [row.dataset] * has_datasets
        )  # fmt: skip
    return text.getvalue()
