"""The log of a training, ``log.jsonl``: a line for each epoch."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promise_seg.errors import CheckpointError
from promise_seg.storage.files import write_text
from promise_seg.storage.sealed import read_sealed_lines

_LOG = logging.getLogger(__name__)

LOG_FILE = "log.jsonl"
WAY_OUT = "Restore it, or move it away to continue without it"


def rounded(value: Any, digits: int = 6) -> Any:
    """Round a value for the log; a mean loss that is NaN or infinite (possible in half precision) becomes ``None``."""
    if not isinstance(value, float):
        return value
    return round(value, digits) if math.isfinite(value) else None


def epochs_of(lines: Sequence[dict[str, Any]], path: Path) -> list[int]:
    """Return the epoch of each line of a log.

    Raises:
        CheckpointError: if a line has no epoch, or the epochs are not in increasing order.
    """
    found = [0]
    for number, line in enumerate(lines, 1):
        epoch = line.get("epoch")
        if not isinstance(epoch, int) or epoch <= found[-1]:
            raise CheckpointError(f"{path}: cannot be read: line {number}: is not of a later epoch. {WAY_OUT}")
        found.append(epoch)
    return found[1:]


def logged_epochs(path: Path, epochs: int) -> list[int]:
    """Return the epoch of each line of a log, and warn of missing epochs.

    Args:
        path: the path of the log.
        epochs: the number of epochs that the run has finished.

    Raises:
        CheckpointError: if the log is damaged.
    """
    found = epochs_of(read_log(path), path)
    if lost := [str(epoch) for epoch in range(1, epochs + 1) if epoch not in found]:
        _LOG.warning("%s: has no line of epoch %s. The run continues without it", path, ", ".join(lost))
    return found


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; an empty list if it does not exist.

    Raises:
        CheckpointError: if it is damaged, with the number of the line.
    """
    try:
        return read_sealed_lines(path)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}. {WAY_OUT}") from error


def keep_epochs(path: Path, epochs: int) -> None:
    """Keep the lines of a log up to an epoch; drop those of an epoch that was interrupted after it was logged.

    Raises:
        CheckpointError: if the log is damaged.
    """
    found = logged_epochs(path, epochs)
    if not found:
        return
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    kept = "".join(f"{line}\n" for line, epoch in zip(lines, found, strict=True) if epoch <= epochs)
    if kept != text:
        write_text(path, kept)
