"""Read and validate the records that training leaves next to a model."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from promise_seg.errors import CheckpointError
from promise_seg.storage.sealed import read_sealed
from promise_seg.validation import faults_of

Record = TypeVar("Record", bound=BaseModel)

_WAY_OUT = "Restore it, or move it away to continue without it"


def read_record(path: Path, kind: type[Record]) -> Record | None:
    """Return the record in a file; ``None`` if there is no such file, as with a model outside a run.

    Raises:
        CheckpointError: if the file is damaged, or not as training writes it.
    """
    if not path.exists():
        return None
    try:
        return kind.model_validate(read_sealed(path))
    except ValidationError as error:
        raise CheckpointError(
            f"{path}: not as promise train writes it: {faults_of(error, kind)}. {_WAY_OUT}"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}. {_WAY_OUT}") from error
