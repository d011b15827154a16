"""Who looked at the test rows with which model: a log in the model's own folder.

A second look after a change of the model is how test data come to choose models; it is not forbidden, but said.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promise_seg.files import write_text

LOG_FILE = "test_log.jsonl"


@dataclass(frozen=True)
class Looks:
    """How often this model, and others that stood in its folder before, were scored on these test rows."""

    this_model: int
    other_models: int

    def words(self) -> str | None:
        """What a report must say; nothing of a first look."""
        if not self.other_models:
            return None
        return (
            f"these test rows were looked at {self.other_models} time(s) before with another model from this folder: "
            "training or post-processing changed since, so that these scores may be chosen ones"
        )


def log_test(folder: Path, model_sha256: str, data_sha256: str, facts: dict[str, Any]) -> Looks:
    """Note a look at test rows, and say how many there were before.

    Args:
        folder: of the model.
        model_sha256: of its weights and config, post-processing among them.
        data_sha256: of the rows.
        facts: about this look (prompts, mean Dice).

    Raises:
        PromiseError: if the log cannot be written.
    """
    path = folder / LOG_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    before = [entry for entry in map(_entry, lines) if entry.get("data_sha256") == data_sha256]
    others = {entry["model_sha256"] for entry in before if entry.get("model_sha256") != model_sha256}
    looks = Looks(
        this_model=1 + sum(entry.get("model_sha256") == model_sha256 for entry in before),
        other_models=sum(entry.get("model_sha256") in others for entry in before),
    )
    entry = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": model_sha256,
        "data_sha256": data_sha256,
    } | facts
    write_text(path, "\n".join([*lines, json.dumps(entry, sort_keys=True)]) + "\n")
    return looks


def _entry(line: str) -> dict[str, Any]:
    """A damaged line says nothing, but stays."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
