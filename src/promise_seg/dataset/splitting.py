"""Divide a data set into splits or folds: groups stay whole, and splits have similar distributions of object sizes."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeVar

from promise_seg.dataset.dealing import Side, deal
from promise_seg.dataset.manifest import Row, of_split, raise_all
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.vocabulary import Split

ForegroundShare = Callable[[Row], float]
ObjectPixels = Callable[[Row], Sequence[Sequence[int]]]
"""A function that returns the number of pixels of each object of a row, in a list for each image or slice."""
Name = TypeVar("Name")


@dataclass(frozen=True)
class SplitSummary:
    """Counts of rows, groups and empty masks of a split; ``mean_size`` is the mean share of foreground, in [0, 1].

    For instance maps, ``objects_per_image`` is the mean number of objects in an image or a slice, and ``object_pixels``
    the median number of pixels of an object; both are ``None`` for other masks.
    """

    split: Split
    rows: int
    groups: int
    mean_size: float
    empty: int
    objects_per_image: float | None = None
    object_pixels: float | None = None


def split_rows(
    rows: Sequence[Row],
    foreground_share: ForegroundShare,
    *,
    val: float = DEFAULT_VAL_SHARE,
    test: float = DEFAULT_VAL_SHARE,
    keep_test: bool = False,
    seed: int = 0,
) -> list[Row]:
    """Assign every row to a new split; the order of the rows is kept, and the splits do not depend on it.

    Args:
        rows: the rows of a manifest.
        foreground_share: a function that returns the share of the image that a row's mask covers, in [0, 1]. It is
            called only for rows that are assigned, and after all other checks.
        val: the share of rows for ``val``; a share of 0 omits the split.
        test: the share of rows for ``test``; 0 omits the split.
        keep_test: whether ``test`` rows stay as they are instead; ``val`` is then a share of the other rows.
        seed: seed of the assignment.

    Raises:
        SettingsError: if a share is negative, or the shares leave nothing for ``train``.
        ManifestError: if there are too few groups, or, with ``keep_test``, if a group has ``test`` rows and other rows
            or all rows are ``test``.
    """
    test = 0.0 if keep_test else test
    _check_shares(val, test)
    loose = _not_test(rows) if keep_test else rows
    shares = {Split.TRAIN: 1 - val - test, Split.VAL: val, Split.TEST: test}
    sides = {split: Side(share) for split, share in shares.items() if share > 0}
    dealt = _deal(loose, foreground_share, sides, seed)
    return [replace(row, split=dealt[row.group]) if row.group in dealt else row for row in rows]


def fold_rows(
    rows: Sequence[Row],
    foreground_share: ForegroundShare,
    *,
    folds: int,
    test: float = DEFAULT_VAL_SHARE,
    keep_test: bool = False,
    seed: int = 0,
) -> list[list[Row]]:
    """Return the rows of each cross-validation fold.

    Every row that is not ``test`` is ``val`` in exactly one fold and ``train`` in the others. ``test`` rows are
    selected first, or kept as they are with ``keep_test``, and are the same in all folds.

    Raises:
        SettingsError: if there are fewer than 2 folds, or if ``test`` is negative or takes all rows.
        ManifestError: as in :func:`split_rows`.
    """
    if folds < 2:
        raise SettingsError(f"--folds {folds}: expected 2 or more")
    if not keep_test:
        _check_shares(0, test)
        sides = {Split.TRAIN: Side(1 - test, least_groups=folds), Split.TEST: Side(test)}
        dealt = _deal(rows, foreground_share, {split: side for split, side in sides.items() if side.share > 0}, seed)
        rows = [replace(row, split=dealt[row.group]) for row in rows]
    loose = _not_test(rows)
    _groups(loose, folds, "one for each fold")  # checked first, as the number of folds may be mistyped and huge
    fold_of = _deal(loose, foreground_share, {fold: Side(1 / folds) for fold in range(folds)}, seed)

    def in_fold(row: Row, fold: int) -> Row:
        if row.split == Split.TEST:
            return row
        return replace(row, split=Split.VAL if fold_of[row.group] == fold else Split.TRAIN)

    return [[in_fold(row, fold) for row in rows] for fold in range(folds)]


def summarise(
    rows: Sequence[Row], foreground_share: ForegroundShare, object_pixels: ObjectPixels | None = None
) -> list[SplitSummary]:
    """Return statistics of each split that has rows; ``object_pixels`` is given for instance maps."""
    summaries = []
    for split in Split:
        own = of_split(rows, split)
        if own:
            sizes = [foreground_share(row) for row in own]
            groups = len({row.group for row in own})
            images = [] if object_pixels is None else [image for row in own for image in object_pixels(row)]
            pixels = [count for image in images for count in image]
            summaries.append(
                SplitSummary(
                    split, len(own), groups, math.fsum(sizes) / len(own), sizes.count(0),
                    objects_per_image=len(pixels) / len(images) if images else None,
                    object_pixels=median(pixels) if pixels else None,
                )
            )  # fmt: skip
    return summaries


def _not_test(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that are not ``test``.

    Raises:
        ManifestError: if a group has ``test`` rows and other rows, or if there are only ``test`` rows.
    """
    test = {row.group: row.where for row in of_split(rows, Split.TEST)}
    loose = [row for row in rows if row.split != Split.TEST]
    raise_all(
        [
            f"{row.where}: {row.split} row of the group {row.group!r}, which also has test rows ({test[row.group]}). "
            "Make it test, remove it, or split without --keep-test"
            for row in loose
            if row.group in test
        ]
    )
    if not loose:
        raise ManifestError(f"{_file(rows)}: all rows are test; expected others to assign. Split without --keep-test")
    return loose


def _file(rows: Sequence[Row]) -> str:
    return rows[0].where.rsplit(":", 1)[0]


def _check_shares(val: float, test: float) -> None:
    if not (min(val, test) >= 0 and val + test < 1):  # nor NaN
        raise SettingsError(
            f"--val {val:g} --test {test:g}: expected shares from 0 that leave something for train, such as "
            f"{DEFAULT_VAL_SHARE} each"
        )


def _groups(rows: Sequence[Row], needed: int, for_what: str) -> list[str]:
    """Return the names of the groups of rows, sorted; ``for_what`` says in messages why so many are needed.

    Raises:
        ManifestError: if there are fewer than ``needed``.
    """
    groups = sorted({row.group for row in rows})
    if len(groups) < needed:
        raise ManifestError(
            f"{_file(rows)}: {len(groups)} group(s), which stay whole; expected at least {needed}, {for_what}. Add "
            "data, ask for fewer splits, or correct the column group; without it, each image is a group of its own"
        )
    return groups


def _purposes(sides: Mapping[Name, Side]) -> str:
    """Return words on what the groups of rows are needed for: each split, or the folds and test."""
    words = ["each fold" if side.least_groups > 1 else str(name) for name, side in sides.items()]
    *others, last = words if all(isinstance(name, Split) for name in sides) else ["each fold"]
    return f"one for {', '.join(others)} and {last}" if others else f"one for {last}"


def _deal(
    rows: Sequence[Row], foreground_share: ForegroundShare, sides: Mapping[Name, Side], seed: int
) -> dict[str, Name]:
    """Return the name of the side that each group of rows is assigned to.

    Raises:
        ManifestError: if there are too few groups.
    """
    names, groups = list(sides), _groups(rows, sum(side.least_groups for side in sides.values()), _purposes(sides))
    sizes = defaultdict[str, list[float]](list)
    for row in rows:
        sizes[row.group].append(foreground_share(row))
    dealt = deal([sizes[group] for group in groups], [sides[name] for name in names], seed)
    return {group: names[side] for group, side in zip(groups, dealt, strict=True)}
