"""Warnings about images and groups that are in several splits, which is allowed but makes scores too optimistic."""

from collections import defaultdict
from collections.abc import Sequence

from promise_seg.dataset.checks import CheckedRow
from promise_seg.dataset.manifest import Row
from promise_seg.vocabulary import Split


def chosen_on_test_warning(rows: Sequence[CheckedRow]) -> str | None:
    """Return a warning about ``test`` images that are also in ``val``, by content, or ``None`` if there are none."""
    val = {row.image_sha256: row.row for row in rows if row.row.split == Split.VAL}
    shared = [row for row in rows if row.row.split == Split.TEST and row.image_sha256 in val]
    if not shared:
        return None
    first = shared[0]
    return (
        f"{len(shared)} test image(s) are also in val, for example {first.name} ({first.row.where} and "
        f"{val[first.image_sha256].where}): training chooses the best epoch and thresholds on val images, so their "
        "test scores are too optimistic. Remove one of the two rows"
    )


def same_pixels_warning(rows: Sequence[CheckedRow]) -> str | None:
    """Return a warning about images in several splits with equal pixels in different files, or ``None``.

    These were saved again without loss, for example in another format. Files with equal content are reported by
    :func:`~promise_seg.dataset.checks.leaks` and :func:`chosen_on_test_warning`.
    """
    first: dict[str, dict[Split, CheckedRow]] = {}
    pairs = []
    for row in rows:
        if not row.rgb_sha256:
            continue
        known = first.setdefault(row.rgb_sha256, {})
        others = [one for split, one in known.items() if split != row.row.split]
        if others and all(one.image_sha256 != row.image_sha256 for one in others):
            pairs.append((others[0], row))
        known.setdefault(row.row.split, row)
    if not pairs:
        return None
    one, other = pairs[0]
    return (
        f"{len(pairs)} image(s) have the same pixels as an image in another split, for example {other.name} in "
        f"{other.row.split} ({other.row.where}) and {one.name} in {one.row.split} ({one.row.where}): scores on them "
        "are too optimistic. Remove one of the two rows"
    )


def divided_warning(rows: Sequence[Row]) -> str | None:
    """Return a warning about groups with rows in more than one split, or ``None`` if there are none."""
    divided = divided_groups(rows)
    train = {row.group for row in rows if row.split == Split.TRAIN}
    learned, chosen = [one for one in divided if one in train], [one for one in divided if one not in train]
    parts = []
    if learned:
        parts.append(
            f"{len(learned)} group(s) have rows in train and in another split, for example {learned[0]!r}; scores on "
            "those rows are too optimistic"
        )
    if chosen:
        parts.append(
            f"{len(chosen)} group(s) have rows in val and in test, for example {chosen[0]!r}; training chooses the "
            "best epoch and thresholds on val rows, so test scores of these groups are too optimistic"
        )
    return ". ".join(parts) or None


def divided_groups(rows: Sequence[Row]) -> list[str]:
    """Return the groups with rows in more than one split, which is allowed but worth a warning."""
    splits = defaultdict[str, set[Split]](set)
    for row in rows:
        splits[row.group].add(row.split)
    return sorted(group for group, own in splits.items() if len(own) > 1)
