"""The log of peeks at test rows, in the folder of the model that was scored on them.

A second peek after a change of the model is how test data come to select models; it is not forbidden, but reported.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promise_seg.assessment.summary import TestPeeks
from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.files import object_of, write_whole
from promise_seg.locks import in_turn
from promise_seg.sealed import opened, sealed_line

LOG_FILE = "test_log.jsonl"
_LETTERS = 16  # of an image's hash: enough to identify it


def peek_note(images: int, other_models: int, looked_at: int) -> str | None:
    """Return the warning about earlier peeks with other models; ``None`` if there were none.

    Args:
        images: how many test images there are now.
        other_models: earlier peeks with other models from the same folder.
        looked_at: how many of the images those saw.
    """
    if not other_models:
        return None
    part = "these test images were" if looked_at == images else f"{looked_at} of these {images} test images were"
    return (
        f"{part} looked at {other_models} time(s) before with another model from this folder: training, "
        "post-processing or the choice among SAM's masks changed since, so these scores may be biased by model "
        "selection on the test set"
    )


def beside_note(runs: int) -> str | None:
    """Return a note that several runs were scored on the same test images; ``None`` if there are no others."""
    if not runs:
        return None
    return (
        f"{runs} other run(s) in the folder around this one were scored on these test images too: picking the best of "
        "them selects a model on the test set; choose on val rows"
    )


def damage_note(log: Path, lines: int) -> str:
    """Return the warning that lines of a log cannot be read."""
    return (
        f"{lines} line(s) of {log} are damaged, so that there may have been more looks at these test images than are "
        "counted here"
    )


def log_test(folder: Path, model_sha256: str, rows: Sequence[CheckedRow], facts: dict[str, Any]) -> TestPeeks:
    """Log a peek at test rows, and return how many there were before at any of their images, whatever CSV names them.

    Args:
        folder: the folder of the model.
        model_sha256: the hash of its weights and config, including post-processing.
        rows: the rows of the split ``test``.
        facts: facts about this peek (prompts, protocol, ``mask_choice``, mean Dice).

    Raises:
        PromiseError: if the log cannot be written.
    """
    with in_turn(folder / LOG_FILE):
        return _log_test(folder, model_sha256, rows, facts)


def _log_test(folder: Path, model_sha256: str, rows: Sequence[CheckedRow], facts: dict[str, Any]) -> TestPeeks:
    path = folder / LOG_FILE
    images = sorted({row.image_sha256[:_LETTERS] for row in rows})
    before, damaged = _entries(path)
    this = _Model(model_sha256, facts)
    at_these = [(entry, seen) for entry in before if (seen := entry.images & set(images))]
    others = [(entry, seen) for entry, seen in at_these if not this.is_of(entry.content)]
    beside = [
        other
        for other in sorted(folder.resolve().parent.glob(f"*/{LOG_FILE}"))
        if other.parent != folder.resolve() and any(entry.images & set(images) for entry in _entries(other)[0])
    ]
    looked_at = len(set().union(*(seen for _, seen in others)))
    peeks = TestPeeks(
        this_model=1 + len(at_these) - len(others),
        other_models=len(others),
        looked_at=looked_at,
        beside=len(beside),
        note=peek_note(len(images), len(others), looked_at),
        beside_note=beside_note(len(beside)),
    )
    if damaged:
        peeks = peeks.model_copy(update={"damage_note": damage_note(path, damaged)})
    entry = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": model_sha256,
        "data_sha256": data_sha256(rows),
        "images": images,
    } | facts
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):  # it was cut
        content += b"\n"
    content += sealed_line(entry, sort_keys=True).encode()
    write_whole(path, lambda temporary: temporary.write_bytes(content))
    return peeks


@dataclass(frozen=True)
class _Model:
    """A model as it was scored: with one protocol, another choice among its masks counts as another model."""

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


def _entries(path: Path) -> tuple[list[_Entry], int]:
    """Return the lines of a log, and how many are damaged: these are skipped, but kept in the file."""
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
    except OSError:
        return [], 0
    found = []
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            content = opened(object_of(line))
            found.append(_Entry(content, frozenset(map(str, content["images"]))))
    return found, len(lines) - len(found)
