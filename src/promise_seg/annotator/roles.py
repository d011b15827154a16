"""The use of each accepted image in training: learned from, chosen on, or held out. A group keeps its use for ever, so
that no model is compared on images which it, or one before it, has seen.
"""

from collections.abc import Iterable
from enum import StrEnum

from promise_seg.annotator.database import Database
from promise_seg.vocabulary import Split


class Role(StrEnum):
    """The use of a group of images."""

    TRAIN = "train"
    VAL = "val"
    HELD_OUT = "held-out"


_TURNS = (Role.TRAIN, Role.HELD_OUT, Role.VAL, Role.TRAIN, Role.TRAIN)
"""The uses of groups in the order in which they are first accepted, again and again: a fifth is held out."""


class Roles:
    """The uses of all groups, kept in the project's database.

    Args:
        database: of the project.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, groups: Iterable[tuple[str, str, bool]]) -> dict[str, Role]:
        """Return the use of each group; those that have none yet get one.

        Args:
            groups: the name of each, its split in the user's manifest, and whether a model was trained on an image
                of it; in the order of acceptance. Groups of test rows have no use here.
        """
        with self._database.writing() as connection:
            known = {row["name"]: Role(row["role"]) for row in connection.execute("SELECT * FROM roles")}
            (drawn,) = connection.execute("SELECT COUNT(*) FROM roles WHERE drawn").fetchone()
            for name, split, was_trained_on in groups:
                if name in known or split == Split.TEST:
                    continue
                is_drawn = split != Split.VAL and not was_trained_on
                if is_drawn:
                    role = _TURNS[drawn % len(_TURNS)]
                    drawn += 1
                else:
                    role = Role.VAL if split == Split.VAL else Role.TRAIN
                connection.execute("INSERT INTO roles VALUES (?, ?, ?)", (name, role, int(is_drawn)))
                known[name] = role
        return known
