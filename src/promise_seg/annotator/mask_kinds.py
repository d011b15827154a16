"""The kind of masks that a project writes: binary masks, label maps of its classes, or maps of separate objects."""

from collections.abc import Iterable, Mapping

from promise_seg.annotator.database import Database
from promise_seg.annotator.refusals import Refusal
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.vocabulary import MaskKind
from promise_seg.workflows.models import AnyModel, Model

BINARY_LABEL = 1
"""The label of the only class of a project whose masks are not label maps."""
_SETTING = "instances"


def has_one_class(labels: Iterable[int]) -> bool:
    """Whether the only class of a project is that of binary masks and instance maps, with the label 1."""
    return list(labels) == [BINARY_LABEL]


def separates_objects(model: AnyModel) -> bool:
    """Whether a model was trained to separate objects that touch."""
    return isinstance(model, Model) and model.model.apm is not None and model.model.apm.separates


def choose_instances(
    database: Database, model: AnyModel, labels: Mapping[int, object] | Iterable[int], wanted: bool | None
) -> bool:
    """Return whether the masks of a project are instance maps, with a number for each object, and store the choice.

    By default, it is as the project was used before. A new project has instance maps if its model separates objects.

    Args:
        database: the database of the project.
        model: the model that the user gives.
        labels: the labels of the project's classes.
        wanted: the choice of the user, if any.

    Raises:
        SettingsError: if the project has classes, for which instance maps have no room.
        PromiseError: if the choice cannot be stored.
    """
    labels = sorted(labels)
    with database.reading() as connection:
        stored = connection.execute("SELECT value FROM settings WHERE name = ?", (_SETTING,)).fetchone()
        is_new = connection.execute("SELECT 1 FROM versions LIMIT 1").fetchone() is None
    if wanted is None:
        wanted = is_new and has_one_class(labels) and separates_objects(model) if stored is None else stored[0] == "1"
    if wanted and not has_one_class(labels):
        raise SettingsError(
            f"{database.path.parent}: masks in which each object has a number (--instances) have no room for classes, "
            f"and this project has the labels {', '.join(map(str, labels))}; expected the label {BINARY_LABEL} alone. "
            "Give --no-instances for masks of classes, or annotate each class in a project of its own"
        )
    try:
        with database.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_SETTING, str(int(wanted))))
    except Refusal as refusal:
        raise PromiseError(f"{database.path}: {refusal.message}") from refusal
    return wanted


def kind_of_masks(labels: Iterable[int], used: Iterable[int], *, instances: bool) -> MaskKind:
    """Return the kind of the mask of an image.

    Args:
        labels: the labels of the project's classes.
        used: the labels of the objects of the image.
        instances: whether the project's masks are instance maps.
    """
    if instances:
        return MaskKind.INSTANCES
    is_binary = has_one_class(labels) and all(label == BINARY_LABEL for label in used)
    return MaskKind.BINARY if is_binary else MaskKind.CLASSES
