"""A note on models whose training was interrupted."""

import json
from pathlib import Path

from safetensors import SafetensorError

from promise_seg.checkpoint import read_config
from promise_seg.class_sets import is_class_set, is_one_model, read_class_set
from promise_seg.errors import PromiseError
from promise_seg.learning.measuring_best import lacks_final_choices
from promise_seg.learning.run_identity import RunIdentity
from promise_seg.learning.training import STATE_FILE
from promise_seg.reporting.commands import resume_command
from promise_seg.storage.tensor_files import read_metadata
from promise_seg.workflows.model_ref import ModelPart, ModelRef


def unfinished_note(model: str | Path) -> str | None:
    """Return a note if the training of a model was interrupted, with the command that resumes it; otherwise ``None``.

    Missing or damaged files are not reported here, as opening the model reports them.

    Args:
        model: the name of the model, as in :meth:`~promise_seg.workflows.model_ref.ModelRef.resolve`.
    """
    try:
        notes = map(_note, ModelRef.resolve(model).parts)
        return next((note for note in notes if note is not None), None)
    except (OSError, SafetensorError, PromiseError, ValueError, KeyError, TypeError):
        return None


def _note(part: ModelPart) -> str | None:
    run, note = part.run_folder, part.note()
    if part.checkpoint is None or run is None or note is None:
        return None
    whole = run.parent if is_class_set(run.parent) else run  # the folder of a set with a model for each class
    classes = () if whole is run else tuple(read_class_set(whole))
    one_model = whole is not run and is_one_model(whole)
    state = (whole if one_model else run) / STATE_FILE
    if not state.exists():
        return None
    facts = json.loads(read_metadata(state)["state"])["facts"]
    identity = RunIdentity.model_validate(facts["identity"])
    where = f"after epoch {facts['epoch']} of {identity.settings.epochs}"
    if facts["epoch"] >= identity.settings.epochs:
        if not lacks_final_choices(run, identity.settings):
            return None
        where = "after its last epoch, before the final choices on the val rows were made"
    command = resume_command(note, identity, whole, read_config(part.checkpoint), classes, one_model=one_model)
    return (
        f"{part.name}: its training was interrupted {where}; the best model so far is used. "
        f"To resume the training: {command}"
    )
