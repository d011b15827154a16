"""Promises of splits and folds, for any groups whatever."""

import itertools
import math
import random
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from promise_seg.dataset.dealing import TOLERANCE
from promise_seg.dataset.manifest import Row
from promise_seg.dataset.splitting import fold_rows, split_rows, summarise
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.vocabulary import Split

quick = settings(max_examples=30, deadline=None, derandomize=True)


def make_rows(counts, splits=None):
    """Rows of groups with these numbers of rows; ``splits`` are the groups'."""
    rows = []
    for group, count in enumerate(counts):
        split = splits[group] if splits else Split.TRAIN
        for _ in range(count):
            line = len(rows) + 2
            rows.append(Row(f"m.csv:{line}", Path(f"{line}.png"), Path(f"m{line}.png"), split, f"g{group}"))
    return rows


def size_by(sizes):
    """Object size of a row, by its line: the same whatever the order."""
    return lambda row: sizes[int(row.where.split(":")[1]) % len(sizes)]


counts = st.lists(st.integers(1, 40), min_size=6, max_size=25)
sizes = st.lists(st.floats(0, 1), min_size=1, max_size=40)
seeds = st.integers(0, 10)


def split_of(rows):
    return {row.where: row.split for row in rows}


def sides(rows):
    """The splits of each group."""
    found = {}
    for row in rows:
        found.setdefault(row.group, set()).add(row.split)
    return found


@quick
@given(counts, sizes, seeds)
def test_each_row_once_no_group_divided_no_split_empty(counts, sizes, seed):
    rows = make_rows(counts)
    divided = split_rows(rows, size_by(sizes), seed=seed)
    assert [row.where for row in divided] == [row.where for row in rows]
    assert [(row.image, row.mask, row.group) for row in divided] == [(row.image, row.mask, row.group) for row in rows]
    assert all(len(splits) == 1 for splits in sides(divided).values())
    assert {row.split for row in divided} == set(Split)


@pytest.mark.slow
@quick
@given(counts, sizes, seeds, st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_a_second_run_changes_anything(counts, sizes, seed, shuffler):
    rows = make_rows(counts)
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    size = size_by(sizes)
    first = split_of(split_rows(rows, size, seed=seed))
    assert first == split_of(split_rows(rows, size, seed=seed))
    assert first == split_of(split_rows(shuffled, size, seed=seed))
    folds = [split_of(fold) for fold in fold_rows(rows, size, folds=3, seed=seed)]
    assert folds == [split_of(fold) for fold in fold_rows(shuffled, size, folds=3, seed=seed)]


def test_another_seed_is_another_division():
    rows = make_rows([2] * 30)
    assert (
        len({tuple(split_of(split_rows(rows, size_by([0.1, 0.2, 0.3]), seed=seed)).values()) for seed in range(5)}) == 5
    )


@quick
@given(st.lists(st.integers(1, 40), min_size=3, max_size=7), sizes)
def test_shares_are_met_wherever_some_division_of_the_groups_meets_them(counts, sizes):
    wanted = np.array([0.7, 0.15, 0.15])
    ways = np.array(list(itertools.product(range(3), repeat=len(counts))))
    shares = np.stack([(ways == side) @ np.array(counts) for side in range(3)], 1) / sum(counts)
    assume((abs(shares - wanted).max(1) <= TOLERANCE).any())
    rows = split_rows(make_rows(counts), size_by(sizes))
    got = Counter(row.split for row in rows)
    for split, share in zip(Split, wanted, strict=True):
        assert abs(got[split] / len(rows) - share) <= TOLERANCE + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_mean_object_sizes_are_alike_with_groups_of_very_different_size(seed):
    rng = random.Random(seed)
    rows = make_rows([rng.choice([1, 1, 2, 5, 12, 40]) for _ in range(60)])
    typical = {row.group: rng.random() ** 3 for row in rows}
    own = {row.where: typical[row.group] * rng.uniform(0.7, 1.3) for row in rows}
    spread = np.std(list(own.values()))

    def unlikeness(division):
        means = [s.mean_size for s in summarise(division, lambda row: own[row.where])]
        return (max(means) - min(means)) / spread

    divided = split_rows(rows, lambda row: own[row.where], seed=seed)
    blind = split_rows(rows, lambda _row: 0.1, seed=seed)  # shares only
    assert unlikeness(divided) < 0.05
    assert unlikeness(divided) < unlikeness(blind) / 3
    for fold in fold_rows(rows, lambda row: own[row.where], folds=4, seed=seed):
        assert unlikeness(fold) < 0.2


def test_small_and_large_objects_are_in_every_split_not_just_the_mean():
    rows = make_rows([1] * 200)
    sizes = {row.where: [0.01, 0.02, 0.5, 0.9][i % 4] for i, row in enumerate(rows)}
    divided = split_rows(rows, lambda row: sizes[row.where])
    for split in Split:
        found = Counter(sizes[row.where] for row in divided if row.split == split)
        assert len(found) == 4
        assert max(found.values()) - min(found.values()) <= 2


@quick
@given(counts, sizes, st.integers(2, 5), st.booleans(), seeds)
def test_folds_have_each_row_once_in_val_and_the_same_test_rows(counts, sizes, folds, keep_test, seed):
    rows = make_rows(counts, [Split.TEST] + [Split.TRAIN] * (len(counts) - 1))
    made = fold_rows(rows, size_by(sizes), folds=folds, test=0.1, keep_test=keep_test, seed=seed)
    assert len(made) == folds
    tests = {frozenset(row.where for row in fold if row.split == Split.TEST) for fold in made}
    assert len(tests) == 1
    (test,) = tests
    in_val = Counter(row.where for fold in made for row in fold if row.split == Split.VAL)
    assert in_val == {row.where: 1 for row in rows if row.where not in test}
    for fold in made:
        assert [row.where for row in fold] == [row.where for row in rows]
        assert all(len(splits) == 1 for splits in sides(fold).values())
    if keep_test:
        assert test == {row.where for row in rows if row.split == Split.TEST}


def test_kept_test_rows_are_not_touched_and_val_counts_from_the_others():
    rows = make_rows([1] * 100, [Split.TEST] * 40 + [Split.TRAIN] * 60)
    divided = split_rows(rows, size_by([0.1, 0.4]), val=0.2, keep_test=True)
    assert [row.split for row in divided[:40]] == [Split.TEST] * 40
    assert Counter(row.split for row in divided[40:]) == {Split.TRAIN: 48, Split.VAL: 12}


def test_a_group_on_both_sides_of_kept_test_rows_is_an_error_that_lists_the_rows():
    rows = make_rows([1, 1, 1, 1], [Split.TEST, Split.TRAIN, Split.TRAIN, Split.VAL])
    rows = [row if i == 1 else Row(row.where, row.image, row.mask, row.split, "p") for i, row in enumerate(rows)]
    for run in (lambda: split_rows(rows, size_by([0.1]), keep_test=True),
                lambda: fold_rows(rows, size_by([0.1]), folds=2, keep_test=True)):  # fmt: skip
        with pytest.raises(ManifestError, match="2 problems") as caught:
            run()
        assert "m.csv:4: train row of the group 'p', which also has test rows (m.csv:2)" in str(caught.value)
        assert "m.csv:5: val row" in str(caught.value)
    assert split_rows(rows + make_rows([1, 1]), size_by([0.1]))  # without it they are dealt anew


def never(_row):
    raise AssertionError("settings are checked before any mask is read")


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.1), (0.5, 0.5), (0.2, -1), (1, 0), (math.nan, 0), (0, math.nan)])
def test_shares_that_cannot_be(val, test):
    with pytest.raises(SettingsError, match=r"--val .* --test .*: expected shares from 0"):
        split_rows(make_rows([1] * 9), never, val=val, test=test)


def test_too_few_groups():
    with pytest.raises(ManifestError, match=r"2 group\(s\), .* at least 3, one for train, val and test\. Add"):
        split_rows(make_rows([5, 5]), never)
    with pytest.raises(ManifestError, match=r"2 group\(s\), .* at least 3, one for each fold\. Add"):
        fold_rows(make_rows([5, 5]), never, folds=3, test=0)
    with pytest.raises(ManifestError, match=r"m\.csv: 2 group\(s\), .* at least 4, one for each fold and test\. Add"):
        fold_rows(make_rows([5, 5]), never, folds=3)
    with pytest.raises(SettingsError, match="--folds 1: expected 2 or more"):
        fold_rows(make_rows([5, 5]), never, folds=1)
    with pytest.raises(ManifestError, match="all rows are test"):
        split_rows(make_rows([5], [Split.TEST]), never, keep_test=True)


@pytest.mark.parametrize("keep_test", [False, True])
def test_a_mistyped_number_of_folds_takes_no_memory(keep_test):
    tracemalloc.start()
    with pytest.raises(ManifestError, match="expected at least 200000"):
        fold_rows(make_rows([5, 5]), never, folds=200_000, test=0, keep_test=keep_test)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2e6


def test_cutting_test_off_leaves_enough_groups_for_the_folds():
    made = fold_rows(make_rows([1, 1, 1, 1, 1, 19]), size_by([0.1]), folds=5)
    assert all({row.split for row in fold} == set(Split) for fold in made)


def test_folds_without_test_deal_old_test_rows_too():
    made = fold_rows(make_rows([1] * 6, [Split.TEST] * 6), size_by([0.1]), folds=3, test=0)
    assert all(Counter(row.split for row in fold) == {Split.TRAIN: 4, Split.VAL: 2} for fold in made)


def test_a_share_of_zero_leaves_a_split_out():
    assert {row.split for row in split_rows(make_rows([1] * 9), size_by([0.1]), val=0)} == {Split.TRAIN, Split.TEST}


def test_a_summary_counts_rows_groups_and_empty_masks_of_each_split():
    rows = make_rows([2, 1], [Split.TRAIN, Split.TEST])
    train, test = summarise(rows, lambda row: 0.0 if row.where == "m.csv:2" else 0.5)
    assert (train.split, train.rows, train.groups, train.mean_size, train.empty) == (Split.TRAIN, 2, 1, 0.25, 1)
    assert (test.split, test.rows, test.groups, test.mean_size, test.empty) == (Split.TEST, 1, 1, 0.5, 0)
    assert (train.objects_per_image, train.object_pixels) == (None, None)
    train, test = summarise(rows, lambda row: 0.5, lambda row: [[4, 8, 30], []] if row.split == Split.TRAIN else [[]])
    assert (train.objects_per_image, train.object_pixels) == (1.5, 8)
    assert (test.objects_per_image, test.object_pixels) == (0, None)
