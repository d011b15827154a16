"""The models that a project knows: those that were given, and those that learned from them, so that it is known which
model made what.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Row
from typing import Any, Self

from promise_seg.annotator.database import Database
from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.segmenter import models_of
from promise_seg.errors import PromiseError
from promise_seg.workflows.models import AnyModel, Model


def identity_of(model: AnyModel) -> str:
    """Return the hash of a model, or of all models of its classes, and of their SAM.

    A SAM alone is known by itself, the size of its input and how images fit in: wherever its file is, and in every
    version of this package.
    """
    return _hashed(model, _facts_of)


def identities_of(model: AnyModel) -> frozenset[str]:
    """Return all hashes that a model was ever known by: of a SAM alone, earlier projects noted another."""
    return frozenset((identity_of(model), _hashed(model, _trained_facts_of)))


def _hashed(model: AnyModel, facts_of: Callable[[Model], list[str | int]]) -> str:
    parts = {label: facts_of(one) for label, one in sorted(models_of(model).items())}
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _facts_of(one: Model) -> list[str | int]:
    config = one.model.config
    if one.part.is_bare and one.model.apm is None:
        return ["bare", one.sam.sha256, config.image_size, str(config.fit)]
    return _trained_facts_of(one)


def _trained_facts_of(one: Model) -> list[str | int]:
    return [one.model.sha256(), one.sam.sha256]


@dataclass(frozen=True)
class KnownModel:
    """A model as the project remembers it.

    Args:
        number: that objects name it by.
        name: as the user called it, or the folder that it was trained in.
        given: the hash of the model that the user gave, from which this one descends.
        folder: below the project's, where it learned from the project.
        since: when it was first used.
        facts: how it did when it took over.
    """

    number: int
    name: str
    given: str
    folder: str | None
    since: str
    facts: Mapping[str, Any]

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """Return the model of a row of the database."""
        return cls(row["id"], row["name"], row["given"], row["folder"], row["since"], json.loads(row["facts"]))

    def as_json(self) -> dict[str, Any]:
        """Return what a client is told."""
        return {"id": self.number, "name": self.name, "learned": self.folder is not None, "since": self.since}


class Lineage:
    """All models of a project, in the order in which they were used first.

    Args:
        database: of the project.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[KnownModel]:
        """Return all models, the newest last."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM models ORDER BY id").fetchall()
        return [KnownModel.of_row(row) for row in rows]

    def learned_from(self, hashes: Collection[str]) -> KnownModel | None:
        """Return the newest model that took over from the one with these hashes, whatever was used since."""
        return next((one for one in reversed(self.all()) if one.folder is not None and one.given in hashes), None)

    def learned_from_others(self, hashes: Collection[str]) -> tuple[str, ...]:
        """Return the names of models that others than the one with these hashes learned from, the newest first."""
        others = {one.given for one in self.all() if one.folder is not None and one.given not in hashes}
        names = (one.name for one in reversed(self.all()) if one.folder is None and one.given in others)
        return tuple(dict.fromkeys(names))

    def given(self, name: str, sha256: str, hashes: Collection[str]) -> KnownModel:
        """Return the model that a user gave, known by any of the hashes; it is noted when it is given first."""
        known = (one for one in reversed(self.all()) if one.folder is None and one.given in hashes)
        return next(known, None) or self._add(name, sha256, sha256, None, {})

    def learned(self, model: AnyModel, folder: str, given: str, facts: Mapping[str, Any]) -> KnownModel:
        """Note a model that learned from the project and takes over."""
        return self._add(folder, identity_of(model), given, folder, facts)

    def _add(self, name: str, sha256: str, given: str, folder: str | None, facts: Mapping[str, Any]) -> KnownModel:
        try:
            with self._database.writing() as connection:
                connection.execute(
                    "INSERT INTO models (name, sha256, given, folder, since, facts) VALUES (?, ?, ?, ?, ?, ?)",
                    (name, sha256, given, folder, datetime.now(UTC).isoformat(timespec="seconds"), json.dumps(facts)),
                )
        except Refusal as refusal:
            raise PromiseError(f"{self._database.path}: {refusal.message}") from refusal
        return self.all()[-1]
