"""The classes of a project."""

from collections.abc import Mapping, Sequence

from promise_seg.annotator.database import Database
from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.segmenter import models_of
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.images.masks import LARGEST_LABEL
from promise_seg.prediction.labelling import parse_names
from promise_seg.workflows.models import AnyModel, Model, label_of


def given_names(model: AnyModel, names: Sequence[str]) -> dict[int, str]:
    """Return the names that the user gives, by their labels.

    Raises:
        SettingsError: if a name belongs to a label that masks cannot hold, or a label has two names.
    """
    given = parse_names(names, list(models_of(model)))
    for label, name in given.items():
        if not 1 <= label <= LARGEST_LABEL:
            raise SettingsError(
                f"--name {label}={name}: a mask cannot hold the label {label}. Give one from 1 to {LARGEST_LABEL}"
            )
    return given


def labels_of(database: Database, model: AnyModel, names: Sequence[str]) -> list[int]:
    """Return the labels of a project's classes in order; see :func:`classes_of`. Nothing is stored.

    Raises:
        SettingsError: if a name that the user gives cannot be used.
    """
    return sorted({*models_of(model), *_known(database), *given_names(model, names)})


def classes_of(database: Database, model: AnyModel, names: Sequence[str]) -> Mapping[int, str]:
    """Return the names of a project's classes by their labels, and store the names that the user gives.

    The classes are those of the model, those that the user names, and those that the project knows already: labels that
    were named before, and labels that objects have.

    Raises:
        SettingsError: if the user gives another name to a label that was named before.
        PromiseError: if the names cannot be stored.
    """
    own, given, known = list(models_of(model)), given_names(model, names), _known(database)
    for label, name in given.items():
        if (before := known.get(label)) not in (None, name):
            raise SettingsError(
                f"--name {label}={name}: in {database.path.parent}, the class {label} is named {before!r}. Leave this "
                f"name out, or give {label}={before}; for a new class, choose a label that is not in use"
            )
    _store(database, given)
    found = {label: name for label, name in known.items() if name is not None} | given
    single = isinstance(model, Model) and label_of(model.model) is None
    return {
        label: found.get(label, "object" if single and label in own else f"class {label}")
        for label in sorted({*own, *known, *given})
    }


def _known(database: Database) -> dict[int, str | None]:
    """Return the stored classes: the name of each label, ``None`` for a label that objects have but nobody named."""
    with database.reading() as connection:
        return dict(connection.execute("SELECT label, name FROM classes").fetchall())


def _store(database: Database, given: Mapping[int, str]) -> None:
    try:
        with database.writing() as connection:
            connection.executemany(
                "INSERT INTO classes (label, name) VALUES (?, ?) "
                "ON CONFLICT (label) DO UPDATE SET name = excluded.name",
                list(given.items()),
            )
    except Refusal as refusal:
        raise PromiseError(f"{database.path}: {refusal.message}") from refusal
