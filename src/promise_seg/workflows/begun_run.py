"""Read the record of an existing run from its folder."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, StrictInt

from promise_seg.class_sets import CLASS_PREFIX
from promise_seg.errors import CheckpointError
from promise_seg.learning.run_note import SETTINGS_FILE
from promise_seg.learning.settings import RecordedSettings, TrainSettings
from promise_seg.learning.training_images import TrainingImages, read_training_images
from promise_seg.storage.sealed import read_sealed


class _Begun(BaseModel):
    """The required entries of a record; other entries are ignored."""

    settings: RecordedSettings
    image_size: StrictInt | None = None


def settings_of_run(output: str | Path) -> TrainSettings | None:
    """Return the settings of the run in a folder, or of its first class; ``None`` if none can be read."""
    noted = note_of_run(output)
    return None if noted is None else _Begun.model_validate(noted).settings


def note_of_run(output: str | Path | None) -> dict[str, Any] | None:
    """Return the ``settings.json`` of the run in a folder, or of its first class; ``None`` if none can be read."""
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


def images_of_run(output: str | Path) -> TrainingImages | None:
    """Return the images of the run in a folder, or of its first class; ``None`` if no record of them can be read."""
    for folder in (Path(output), *sorted(Path(output).glob(f"{CLASS_PREFIX}*"))):
        try:
            found = read_training_images(folder)
        except CheckpointError:
            continue
        if found is not None:
            return found
    return None


def image_size_of(output: str | Path | None, given: int | None) -> int | None:
    """Return the given side of SAM's input, or else that of the run in a folder."""
    noted = note_of_run(output)
    if given is not None or noted is None:
        return given
    found: int | None = noted.get("image_size")
    return found
