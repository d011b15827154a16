"""Who looked at the test rows with which model: a log in the model's own folder.

A second look after a change of the model is how test data come to choose models; it is not forbidden, but said.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.files import write_text

LOG_FILE = "test_log.jsonl"
_LETTERS = 16  # of an image's hash: enough to know it by


@dataclass(frozen=True)
class Looks:
    """How often images among some test rows were scored before.

    Args:
        images: how many test rows there are now.
        this_model: looks with this very model, this one among them.
        other_models: looks at any of these images with another model from this folder, or another choice among SAM's
            masks.
        looked_at: how many of these images they saw.
        beside: other runs in the folder around this one that looked at any of these images.
    """

    images: int
    this_model: int
    other_models: int
    looked_at: int
    beside: int = 0

    def words(self) -> str | None:
        """What a report must say; nothing of a first look."""
        if not self.other_models:
            return None
        part = "these test images were" if self.looked_at == self.images else (
            f"{self.looked_at} of these {self.images} test images were"
        )  # fmt: skip
        return (
            f"{part} looked at {self.other_models} time(s) before with another model from this folder: training, "
            "post-processing or the choice among SAM's masks changed since, so that these scores may be chosen ones"
        )

    def beside_words(self) -> str | None:
        """What to keep in mind where several runs were scored on the same test images."""
        if not self.beside:
            return None
        return (
            f"{self.beside} other run(s) in the folder around this one were scored on these test images too: the best "
            "of them is a chosen one; choose on val rows"
        )

    def as_json(self) -> dict[str, Any]:
        """As ``test_looks`` of a summary."""
        return {
            "this_model": self.this_model, "other_models": self.other_models, "looked_at": self.looked_at,
            "beside": self.beside, "note": self.words(), "beside_note": self.beside_words(),
        }  # fmt: skip


def log_test(folder: Path, model_sha256: str, rows: Sequence[CheckedRow], facts: dict[str, Any]) -> Looks:
    """Note a look at test rows, and say how many there were before at any of their images, whatever CSV names them.

    Args:
        folder: of the model.
        model_sha256: of its weights and config, post-processing among them.
        rows: of the split ``test``.
        facts: about this look (prompts, protocol, ``mask_choice``, mean Dice).

    Raises:
        PromiseError: if the log cannot be written.
    """
    path = folder / LOG_FILE
    images = sorted({row.image_sha256[:_LETTERS] for row in rows})
    before = _entries(path)
    this = _Model(model_sha256, facts)
    at_these = [(entry, seen) for entry in before if (seen := entry.images & set(images))]
    others = [(entry, seen) for entry, seen in at_these if not this.is_of(entry.content)]
    beside = [
        other
        for other in sorted(folder.resolve().parent.glob(f"*/{LOG_FILE}"))
        if other.parent != folder.resolve() and any(entry.images & set(images) for entry in _entries(other))
    ]
    looks = Looks(
        images=len(images),
        this_model=1 + len(at_these) - len(others),
        other_models=len(others),
        looked_at=len(set().union(*(seen for _, seen in others))),
        beside=len(beside),
    )
    entry = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": model_sha256,
        "data_sha256": data_sha256(rows),
        "images": images,
    } | facts
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    write_text(path, "\n".join([*lines, json.dumps(entry, sort_keys=True)]) + "\n")
    return looks


@dataclass(frozen=True)
class _Model:
    """A model as it was looked with: by one protocol, another choice among its masks makes it another one."""

    sha256: str
    facts: dict[str, Any]

    def is_of(self, entry: dict[str, Any]) -> bool:
        if entry.get("model_sha256") != self.sha256:
            return False
        choice, other = self.facts.get("mask_choice"), entry.get("mask_choice")
        same_protocol = entry.get("protocol") == self.facts.get("protocol")
        return choice is None or other is None or choice == other or not same_protocol


@dataclass(frozen=True)
class _Entry:
    content: dict[str, Any]
    images: frozenset[str]


def _entries(path: Path) -> list[_Entry]:
    """The lines of a log; a damaged one says nothing, but stays."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, ValueError):
        return []
    found = []
    for line in lines:
        try:
            content = json.loads(line)
            found.append(_Entry(content, frozenset(map(str, content["images"]))))
        except (ValueError, TypeError, KeyError):
            continue
    return found
