"""The record that a folder holds of a run that was begun in it."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, StrictInt

from promise_seg.class_sets import CLASS_PREFIX
from promise_seg.learning.run_note import SETTINGS_FILE
from promise_seg.learning.settings import TrainSettings
from promise_seg.sealed import read_sealed


class _Begun(BaseModel):
    """The entries of a record that are needed; other entries do not matter."""

    settings: TrainSettings
    image_size: StrictInt | None = None


def settings_of_run(output: str | Path) -> TrainSettings | None:
    """Return the settings of the run that a folder holds, or of the first of several classes; ``None`` if there is none
    that can be read.
    """
    noted = note_of_run(output)
    return None if noted is None else TrainSettings.model_validate(noted["settings"])


def note_of_run(output: str | Path | None) -> dict[str, Any] | None:
    """The ``settings.json`` of the run that a folder holds, or of the first of several classes, if it can be read."""
    if output is None:
        return None
    for path in (Path(output) / SETTINGS_FILE, *sorted(Path(output).glob(f"{CLASS_PREFIX}*/{SETTINGS_FILE}"))):
        try:
            found = read_sealed(path)
            _Begun.model_validate(found)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return found
    return None


def image_size_of(output: str | Path | None, given: int | None) -> int | None:
    """Return the side of SAM's input that is given, or else that of the run that a folder holds."""
    noted = note_of_run(output)
    if given is not None or noted is None:
        return given
    found: int | None = noted.get("image_size")
    return found
