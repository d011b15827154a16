"""The log of a training, ``log.jsonl``: a line for each epoch."""

import math
from pathlib import Path
from typing import Any

from promise_seg.errors import CheckpointError
from promise_seg.sealed import read_sealed_lines

LOG_FILE = "log.jsonl"
WAY_OUT = "Restore it, or move it away to go on without it"


def rounded(value: Any, digits: int = 6) -> Any:
    """Round a value for the log; a mean loss that is NaN or infinite (possible in half precision) becomes ``None``."""
    if not isinstance(value, float):
        return value
    return round(value, digits) if math.isfinite(value) else None


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; none if it is not there.

    Raises:
        CheckpointError: if it is damaged, with the number of the line.
    """
    try:
        return read_sealed_lines(path)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}. {WAY_OUT}") from error
