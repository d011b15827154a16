"""The role of each accepted image: training, choosing the best epoch, or held out to compare models.

A group keeps its role indefinitely, so that no model is scored on images that it or an earlier model was trained on. A
group that a model was trained on nevertheless, because another model was given later, is used for training.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import cycle

from promise_seg.annotator.database import Database
from promise_seg.vocabulary import Split


class Role(StrEnum):
    """The role of a group of images."""

    TRAIN = "train"
    VAL = "val"
    HELD_OUT = "held-out"


_TURNS = (Role.TRAIN, Role.HELD_OUT, Role.VAL, Role.TRAIN, Role.TRAIN)
"""The roles of new groups, repeated in the order in which they are first accepted; a fifth is held out."""


class Roles:
    """The roles of all groups, stored in the project's database.

    Args:
        database: the database of the project.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def rename(self, names: Mapping[str, str]) -> None:
        """Give the roles of groups to the groups that replace them.

        If several groups are replaced by one, it is used for training if any of them was, otherwise for choosing the
        best epoch if any of them was.

        Args:
            names: the new name of each former group; former groups without a role are ignored.
        """
        with self._database.writing() as connection:
            rows = connection.execute("SELECT * FROM roles").fetchall()
            former = [row["name"] for row in rows if names.get(row["name"], row["name"]) != row["name"]]
            for new in {names[name] for name in former}:
                own = [row for row in rows if names.get(row["name"], row["name"]) == new]
                role = min((Role(row["role"]) for row in own), key=list(Role).index)
                drawn = max(row["drawn"] for row in own if row["role"] == role)
                connection.execute("INSERT OR REPLACE INTO roles VALUES (?, ?, ?)", (new, role, drawn))
            connection.executemany("DELETE FROM roles WHERE name = ?", [(name,) for name in former])

    def of(self, groups: Iterable[tuple[str, str, bool | None]]) -> dict[str, Role]:
        """Return the role of each group; assign one to groups without a role.

        A group for validation or comparison that a model has been trained on since becomes a training group, and the
        next new group takes its place.

        Args:
            groups: the name of each group, its split in the user's manifest, and whether a model was trained on one of
                its images, ``None`` if that is unknown; in the order of acceptance. New groups for which it is unknown
                are used for training, and test rows get no role.
        """
        given = list(groups)  # before the database is locked, because reading images takes a while
        with self._database.writing() as connection:
            rows = connection.execute("SELECT * FROM roles").fetchall()
            known = {row["name"]: Role(row["role"]) for row in rows}
            drawn = {row["name"]: Role(row["role"]) for row in rows if row["drawn"]}
            for name, split, was_trained_on in given:
                if split == Split.TEST or (name in known and not _is_spoilt(known[name], split, was_trained_on)):
                    continue
                drawn.pop(name, None)
                is_drawn = split != Split.VAL and was_trained_on is False
                if is_drawn:
                    role = drawn[name] = _next(Counter(drawn.values()))
                else:
                    role = Role.TRAIN if name in known or split != Split.VAL else Role.VAL
                connection.execute("INSERT OR REPLACE INTO roles VALUES (?, ?, ?)", (name, role, int(is_drawn)))
                known[name] = role
        return known


def _is_spoilt(role: Role, split: str, was_trained_on: bool | None) -> bool:
    """Whether a group must be used for training from now on; the user's ``val`` rows keep their role."""
    return bool(was_trained_on) and role != Role.TRAIN and not (role == split == Split.VAL)


def _next(drawn: Mapping[Role, int]) -> Role:
    """Return the role of the next new group: the first one in the order of turns that has too few groups."""
    left = Counter(drawn)
    for role in cycle(_TURNS):
        left[role] -= 1
        if left[role] < 0:
            return role
    raise AssertionError("turns never end")
