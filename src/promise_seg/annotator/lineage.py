"""The models of a project: the models that users gave, and the models that were trained from them here.

Each model has a number, by which objects refer to the model that made them.
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

    A bare SAM is identified by its weights, its input size and the fit of images, so the hash depends neither on the
    path of its file nor on the version of this package.
    """
    return _hashed(model, _facts_of)


def identities_of(model: AnyModel) -> frozenset[str]:
    """Return all hashes by which a model can be recorded; earlier versions used another one for a bare SAM."""
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
    """The record of a model in a project.

    Args:
        number: the number by which objects refer to it.
        name: the name that the user gave, or the folder in which it was trained.
        given: the hash of the model that the user gave and that this one was trained from, directly or indirectly.
        folder: the folder of its run, relative to the project's folder; ``None`` for a model that the user gave.
        since: the time of its first use.
        facts: its scores when it replaced the model before; empty for a model that the user gave.
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
        """Return the model as JSON for clients, see docs/annotator-api.md."""
        return {"id": self.number, "name": self.name, "learned": self.folder is not None, "since": self.since}


class Lineage:
    """All models of a project, in the order of their first use.

    Args:
        database: the database of the project.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[KnownModel]:
        """Return all models, the newest last."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM models ORDER BY id").fetchall()
        return [KnownModel.of_row(row) for row in rows]

    def learned_from(self, hashes: Collection[str]) -> KnownModel | None:
        """Return the newest model that was trained here from the given model with one of these hashes, if any."""
        return next((one for one in reversed(self.all()) if one.folder is not None and one.given in hashes), None)

    def learned_from_others(self, hashes: Collection[str]) -> tuple[str, ...]:
        """Return the names of the other given models from which models were trained here, the newest first."""
        others = {one.given for one in self.all() if one.folder is not None and one.given not in hashes}
        names = (one.name for one in reversed(self.all()) if one.folder is None and one.given in others)
        return tuple(dict.fromkeys(names))

    def given(self, name: str, sha256: str, hashes: Collection[str]) -> KnownModel:
        """Return the record of a model that the user gave, found by any of its hashes, or create it."""
        known = (one for one in reversed(self.all()) if one.folder is None and one.given in hashes)
        return next(known, None) or self._add(name, sha256, sha256, None, {})

    def learned(self, model: AnyModel, folder: str, given: str, facts: Mapping[str, Any]) -> KnownModel:
        """Record a model that was trained in the project and replaces the one in use."""
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
