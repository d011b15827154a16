"""What training left beside a model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise_seg.checkpoint import find_checkpoint, is_reference_file, run_folder
from promise_seg.errors import CheckpointError
from promise_seg.learning.training import LOG_FILE, SETTINGS_FILE


@dataclass(frozen=True)
class RunFiles:
    """The folder of a run, its ``settings.json`` and the lines of its ``log.jsonl``; empty where there are none."""

    folder: Path | None
    settings: dict[str, Any]
    log: tuple[dict[str, Any], ...]

    @property
    def hours(self) -> float | None:
        """That its epochs took together."""
        seconds = [line["seconds"] for line in self.log if "seconds" in line]
        return round(sum(seconds) / 3600, 4) if seconds else None


def read_run(run: str | None) -> RunFiles:
    """Read what there is beside a model.

    Args:
        run: a checkpoint folder or the output folder of training; ``None`` for a bare SAM.

    Raises:
        CheckpointError: if there is no model, or one of the files is damaged.
    """
    if run is None or is_reference_file(run):
        return RunFiles(None, {}, ())
    folder = run_folder(find_checkpoint(run))
    settings = _lines(folder / SETTINGS_FILE, whole=True)
    return RunFiles(folder, settings[0] if settings else {}, tuple(_lines(folder / LOG_FILE)))


def _lines(path: Path, *, whole: bool = False) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line or one in all; none of a file that is not there."""
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        found = [json.loads(part) for part in ([text] if whole else text.splitlines())]
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}. Restore or remove it.") from error
    if not all(isinstance(one, dict) for one in found):
        raise CheckpointError(f"{path}: holds something else than JSON objects. Restore or remove it.")
    return found
