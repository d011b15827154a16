"""Rows whose images look the same, which a division into splits keeps together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from promise_seg.arrays import Uint8Array
from promise_seg.curation.inspection.duplicates import Thumbnails
from promise_seg.dataset.manifest import Row
from promise_seg.vocabulary import Split


@dataclass(frozen=True)
class Joined:
    """All rows, with one group for groups that have near-duplicates of each other, and a note; empty if unchanged."""

    rows: list[Row]
    note: str = ""


@dataclass
class SimilarRows:
    """Images of rows, one per row, that are compared with each other; a kilobyte of each is kept."""

    rows: list[Row] = field(default_factory=list)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)

    def add(self, row: Row, image: Uint8Array) -> None:
        """Add the image of a row, (H, W, 3) uint8."""
        self.thumbnails.add(image)
        self.rows.append(row)

    def join(self, rows: Sequence[Row], *, keep_test: bool) -> Joined:
        """Join the groups of rows that have near-duplicates of each other.

        Args:
            rows: all rows, including those without an added image.
            keep_test: whether ``test`` rows keep their groups, because they are not assigned to a split.
        """
        loose = [n for n, row in enumerate(self.rows) if not (keep_test and row.split == Split.TEST)]
        own = [self.rows[n] for n in loose]
        numbers, example = Thumbnails([self.thumbnails.thumbnails[n] for n in loose]).joined([row.group for row in own])
        members = defaultdict[int, set[str]](set)
        for row, number in zip(own, numbers.tolist(), strict=True):
            members[number].add(row.group)
        joined = [groups for groups in members.values() if len(groups) > 1]
        if example is None:
            return Joined(list(rows))
        name = {group: min(groups) for groups in joined for group in groups}
        new = [replace(row, group=name.get(row.group, row.group)) for row in rows]
        first, second = own[example.first], own[example.second]
        found = f"{len(name)} images look the same as other images"
        if any(row.has_group for row in own):
            found = f"images of {len(name)} groups look the same as images of other groups"
        before, after = (len({row.group for row in some}) for some in (rows, new))
        return Joined(
            new,
            f"note: {found}, for example {first.image} ({first.where}) and {second.image} ({second.where}). Such "
            f"images stay in one split, which leaves {after} of {before} groups; --no-near-duplicates divides them",
        )

    def across_test(self) -> list[str]:
        """Return a warning about ``test`` rows that look the same as other rows of other groups, or an empty list."""
        sides = ["test" if row.split == Split.TEST else "" for row in self.rows]
        pairs = self.thumbnails.near_duplicates(sides, [row.group for row in self.rows])
        if not pairs:
            return []
        first, second = self.rows[pairs[0].first], self.rows[pairs[0].second]
        return [
            f"warning: {len(pairs)} of the kept test rows look the same as another row, for example {first.image} "
            f"({first.where}) and {second.image} ({second.where}): scores on them are too optimistic. Remove one row "
            "of each pair (promise data check lists them), or split without --keep-test"
        ]
