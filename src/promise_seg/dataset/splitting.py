"""Dividing a data set into splits or folds: groups stay whole, and every split gets small and large objects alike."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from promise_seg.dataset.dealing import Side, deal
from promise_seg.dataset.manifest import Row, of_split, raise_all
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.vocabulary import Split

ForegroundShare = Callable[[Row], float]
Name = TypeVar("Name")


@dataclass(frozen=True)
class SplitSummary:
    """``mean_size`` is the mean share of an image that is foreground, in [0, 1]; ``empty`` counts masks of nothing."""

    split: Split
    rows: int
    groups: int
    mean_size: float
    empty: int


def split_rows(
    rows: Sequence[Row],
    foreground_share: ForegroundShare,
    *,
    val: float = 0.15,
    test: float = 0.15,
    keep_test: bool = False,
    seed: int = 0,
) -> list[Row]:
    """Give every row a split anew; the result has the rows' order, but does not depend on it.

    Args:
        rows: of a manifest.
        foreground_share: share of the image that a row's mask covers, in [0, 1]. Called for rows to be dealt only,
            and after all other checks.
        val: share of the rows for ``val``; a share of 0 leaves a split out.
        test: share of the rows for ``test``.
        keep_test: leave ``test`` rows as they are instead, and count ``val`` from the others.
        seed: another seed, another division.

    Raises:
        SettingsError: if the shares leave nothing for ``train``.
        ManifestError: if there are too few groups, or ``keep_test`` finds a group on both sides.
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
    test: float = 0.15,
    keep_test: bool = False,
    seed: int = 0,
) -> list[list[Row]]:
    """The rows once for each fold: every row that is not ``test`` is ``val`` in exactly one fold, ``train`` in others.

    ``test`` is cut off first, or kept as it is with ``keep_test``, and is the same in all folds.

    Raises:
        SettingsError: if there are fewer than 2 folds, or ``test`` leaves nothing.
        ManifestError: as :func:`split_rows`.
    """
    if folds < 2:
        raise SettingsError(f"--folds {folds}: expected 2 or more")
    if not keep_test:
        _check_shares(0, test)
        sides = {Split.TRAIN: Side(1 - test, least_groups=folds), Split.TEST: Side(test)}
        dealt = _deal(rows, foreground_share, {split: side for split, side in sides.items() if side.share > 0}, seed)
        rows = [replace(row, split=dealt[row.group]) for row in rows]
    fold_of = _deal(_not_test(rows), foreground_share, {fold: Side(1 / folds) for fold in range(folds)}, seed)

    def in_fold(row: Row, fold: int) -> Row:
        if row.split == Split.TEST:
            return row
        return replace(row, split=Split.VAL if fold_of[row.group] == fold else Split.TRAIN)

    return [[in_fold(row, fold) for row in rows] for fold in range(folds)]


def summarise(rows: Sequence[Row], foreground_share: ForegroundShare) -> list[SplitSummary]:
    """Numbers of each split that has rows."""
    summaries = []
    for split in Split:
        own = of_split(rows, split)
        if own:
            sizes = [foreground_share(row) for row in own]
            groups = len({row.group for row in own})
            summaries.append(SplitSummary(split, len(own), groups, math.fsum(sizes) / len(own), sizes.count(0)))
    return summaries


def _not_test(rows: Sequence[Row]) -> list[Row]:
    """Rows that are not ``test``.

    Raises:
        ManifestError: naming those whose group also has ``test`` rows, or if there are none.
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
        raise ManifestError(f"{_file(rows)}: all rows are test, expected others to divide. Split without --keep-test")
    return loose


def _file(rows: Sequence[Row]) -> str:
    return rows[0].where.rsplit(":", 1)[0]


def _check_shares(val: float, test: float) -> None:
    if min(val, test) < 0 or val + test >= 1:
        raise SettingsError(
            f"--val {val:g} --test {test:g}: expected shares from 0 that leave something for train, such as 0.15 each"
        )


def _deal(
    rows: Sequence[Row], foreground_share: ForegroundShare, sides: Mapping[Name, Side], seed: int
) -> dict[str, Name]:
    """The name of the side that each group of rows is dealt to.

    Raises:
        ManifestError: if there are too few groups.
    """
    names, groups = list(sides), sorted({row.group for row in rows})
    needed = sum(side.least_groups for side in sides.values())
    if len(groups) < needed:
        raise ManifestError(
            f"{_file(rows)}: {len(groups)} group(s) cannot be divided into {needed} splits or folds, as groups stay "
            "whole. Add data, or ask for fewer; column group says what is a group, without it each image is one"
        )
    sizes = defaultdict[str, list[float]](list)
    for row in rows:
        sizes[row.group].append(foreground_share(row))
    dealt = deal([sizes[group] for group in groups], [sides[name] for name in names], seed)
    return {group: names[side] for group, side in zip(groups, dealt, strict=True)}
