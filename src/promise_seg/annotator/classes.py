"""The classes of a project."""

from collections.abc import Mapping, Sequence

from promise_seg.annotator.segmenter import models_of
from promise_seg.errors import SettingsError
from promise_seg.images.masks import LARGEST_LABEL
from promise_seg.prediction.labelling import parse_names
from promise_seg.workflows.models import AnyModel, Model, label_of


def classes_of(model: AnyModel, names: Sequence[str]) -> Mapping[int, str]:
    """Return the names of a project's classes by their labels: those of the model, and those that the user adds.

    Raises:
        SettingsError: if a name belongs to a label that masks cannot hold.
    """
    own = list(models_of(model))
    given = parse_names(names, own)
    for label, name in given.items():
        if not 1 <= label <= LARGEST_LABEL:
            raise SettingsError(
                f"--name {label}={name}: a mask cannot hold the label {label}. Give one from 1 to {LARGEST_LABEL}"
            )
    only = "object" if isinstance(model, Model) and label_of(model.model) is None else None
    return {label: given.get(label, only or f"class {label}") for label in sorted({*own, *given})}
