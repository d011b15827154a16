"""The log of looks at test rows, in the folder of the model that was scored on them.

Scoring test rows again after the model was changed selects models on the test set. This is not forbidden, but reported.

A look is logged before its results are written, and marked as unfinished until they are. A process that is killed in
between leaves the mark. If the same look is repeated with the same results, it replaces the unfinished look and counts
once, because nobody saw the first results.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promise_seg.assessment.summary import TestLooks
from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.errors import PromiseError
from promise_seg.storage.files import object_of, write_whole
from promise_seg.storage.locks import in_turn
from promise_seg.storage.sealed import opened, sealed_line
from promise_seg.storage.strays import is_left_behind, temporary_name

LOG_FILE = "test_log.jsonl"
_UNFINISHED = "unfinished"
_MASK_GIVEN = "mask_given"
_REPORT = "report: "  # begins the prompts of a report, which name all of its evaluations, the main one first
_OF_A_RUN = frozenset({"when", _UNFINISHED})
_failed: set[str] = set()  # marks of looks whose results this process could not write
_LETTERS = 16  # characters of an image's hash, enough to identify it


def look_note(images: int, other_models: int, looked_at: int) -> str | None:
    """Return the warning about earlier looks with other models; ``None`` if there were none.

    Args:
        images: number of test images in this look.
        other_models: number of earlier looks with other models from the same folder.
        looked_at: number of the images that were scored in those looks.
    """
    if not other_models:
        return None
    part = "these test images were" if looked_at == images else f"{looked_at} of these {images} test images were"
    return (
        f"{part} looked at {other_models} time(s) before with another model from this folder: training, "
        "post-processing, the choice among SAM's masks, --slices or --always-segment differed, so these scores may be "
        "biased by model selection on the test set"
    )


def beside_note(runs: int) -> str | None:
    """Return the note that other runs were scored on the same test images; ``None`` if there are no such runs."""
    if not runs:
        return None
    return (
        f"{runs} other run(s) in the folder around this one were scored on these test images too: picking the best of "
        "them selects a model on the test set; choose on val rows"
    )


def damage_note(log: Path, lines: int) -> str:
    """Return the warning that a log has damaged lines or, if ``lines`` is 0, that it is unexpectedly empty."""
    what = f"{lines} line(s) of {log} are damaged" if lines else f"{log} is empty"
    return f"{what}, so earlier looks at these test images may be missing from the count"


@contextmanager
def logged_test(
    folder: Path, model_sha256: str, rows: Sequence[CheckedRow], facts: dict[str, Any]
) -> Iterator[TestLooks]:
    """Log a look at test rows; its results must be written within the ``with`` block.

    Yields the counts of earlier looks at any of the images, whatever manifest they were read from.

    Args:
        folder: the folder of the model.
        model_sha256: the hash of the model's weights and config, including post-processing.
        rows: the rows of the split ``test``.
        facts: facts about this look: prompts, protocol, mean Dice, ``postprocessing`` with the rule for volumes,
            ``mask_choice``, ``mask_given``, which tells whether the user made that choice, and ``always_segment`` if
            images that the model judged to be empty were segmented too.

    Raises:
        PromiseError: if the log cannot be written.
    """
    path, mark = folder / LOG_FILE, temporary_name("")
    with in_turn(path):
        looks = _log_test(folder, model_sha256, rows, facts, mark)
    try:
        yield looks
    except BaseException:
        _failed.add(mark)
        raise
    with suppress(PromiseError), in_turn(path):  # the look counts even if the mark remains
        _finish(path, lambda content: content.get(_UNFINISHED) == mark)


def finish_left_behind(folder: Path, model_sha256: str, facts: dict[str, Any]) -> None:
    """Remove the mark from a look that a killed process logged, if its results are complete and need no recomputation.

    Args:
        folder, model_sha256, facts: see :func:`logged_test`.

    Raises:
        PromiseError: if the log cannot be written.
    """
    path, wanted = folder / LOG_FILE, {"model_sha256": model_sha256} | facts

    def is_it(content: dict[str, Any]) -> bool:
        return _is_left_behind(content) and all(content.get(name) == value for name, value in wanted.items())

    if any(is_it(entry.content) for entry in _entries(path)[0]):
        with in_turn(path):
            _finish(path, is_it)


def _finish(path: Path, is_it: Callable[[dict[str, Any]], bool]) -> None:
    """Remove the mark from those lines of a log for which ``is_it`` is true."""
    lines = []
    for line in path.read_bytes().splitlines():
        content = _content_of(line)
        if content is not None and is_it(content):
            line = _as_line({name: value for name, value in content.items() if name != _UNFINISHED})
        lines.append(line)
    _write_lines(path, lines)


def _log_test(
    folder: Path, model_sha256: str, rows: Sequence[CheckedRow], facts: dict[str, Any], mark: str
) -> TestLooks:
    path = folder / LOG_FILE
    images = sorted({row.image_sha256[:_LETTERS] for row in rows})
    when = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"when": when, "model_sha256": model_sha256, "data_sha256": data_sha256(rows), "images": images} | facts
    is_there = path.exists()
    lines = path.read_bytes().splitlines() if is_there else []
    is_empty = is_there and not lines
    lines = [line for line in lines if not _is_left_behind_by(entry, _content_of(line))]
    before, damaged = _entries_of(lines)
    this = _Model(model_sha256, facts)
    at_these = [(entry, seen) for entry in before if (seen := entry.images & set(images))]
    others = [(entry, seen) for entry, seen in at_these if not this.is_of(entry.content)]
    beside = [
        other
        for other in sorted(folder.resolve().parent.glob(f"*/{LOG_FILE}"))
        if other.parent != folder.resolve() and any(entry.images & set(images) for entry in _entries(other)[0])
    ]
    looked_at = len(set().union(*(seen for _, seen in others)))
    looks = TestLooks(
        this_model=1 + len(at_these) - len(others),
        other_models=len(others),
        looked_at=looked_at,
        beside=len(beside),
        note=look_note(len(images), len(others), looked_at),
        beside_note=beside_note(len(beside)),
    )
    if damaged or is_empty:
        looks = looks.model_copy(update={"damage_note": damage_note(path, damaged)})
    _write_lines(path, [*lines, _as_line(entry | {_UNFINISHED: mark})])
    return looks


def _is_left_behind_by(entry: dict[str, Any], content: dict[str, Any] | None) -> bool:
    """Whether a line was logged for the same look by a process that ended before it wrote the results."""
    return content is not None and _is_left_behind(content) and _lasting(content) == _lasting(entry)


def _is_left_behind(content: dict[str, Any]) -> bool:
    mark = content.get(_UNFINISHED)
    return isinstance(mark, str) and (mark in _failed or is_left_behind(mark, str(content.get("when"))))


def _lasting(content: dict[str, Any]) -> Any:
    """Return the entries that are the same whenever the same look is logged, converted as by JSON."""
    return json.loads(json.dumps({name: value for name, value in content.items() if name not in _OF_A_RUN}))


def _as_line(content: dict[str, Any]) -> bytes:
    return sealed_line(content, sort_keys=True).rstrip("\n").encode()


def _write_lines(path: Path, lines: Sequence[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    write_whole(path, lambda temporary: temporary.write_bytes(content))


@dataclass(frozen=True)
class _Model:
    """A model as it was scored; with the same protocol, another way of making its masks counts as another model.

    Such a way is another choice among SAM's masks or, with the same prompts, another rule for volumes or another
    decision whether images that the model judges to be empty are segmented.

    A model may itself choose a different mask for each form of prompts. This is still one model, so choices are
    compared only if a user made at least one of them. Lines of earlier versions do not record who made the choice, so
    they are always compared.
    """

    sha256: str
    facts: dict[str, Any]

    def is_of(self, entry: dict[str, Any]) -> bool:
        if entry.get("model_sha256") != self.sha256:
            return False
        if entry.get("protocol") != self.facts.get("protocol"):
            return True
        return self._has_choice_of(entry) and self._has_rules_of(entry)

    def _has_choice_of(self, entry: dict[str, Any]) -> bool:
        if not (self.facts.get(_MASK_GIVEN, True) or entry.get(_MASK_GIVEN, True)):
            return True
        choice, other = self.facts.get("mask_choice"), entry.get("mask_choice")
        return choice is None or other is None or choice == other

    def _has_rules_of(self, entry: dict[str, Any]) -> bool:
        post, other = self.facts.get("postprocessing"), entry.get("postprocessing")
        if post is None or other is None or _main_prompts(self.facts) != _main_prompts(entry):
            return True
        always = bool(self.facts.get("always_segment")), bool(entry.get("always_segment"))
        return post == other and always[0] == always[1]


def _main_prompts(facts: dict[str, Any]) -> str:
    """Return the prompts of a look; those of the main evaluation if the look is a report."""
    prompts = str(facts.get("prompts"))
    return prompts.removeprefix(_REPORT).split(", ")[0]


@dataclass(frozen=True)
class _Entry:
    content: dict[str, Any]
    images: frozenset[str]


def _entries(path: Path) -> tuple[list[_Entry], int]:
    """Return the readable lines of a log, and the number of damaged lines, which are skipped but kept in the file."""
    try:
        return _entries_of(path.read_bytes().splitlines() if path.exists() else [])
    except OSError:
        return [], 0


def _entries_of(lines: Sequence[bytes]) -> tuple[list[_Entry], int]:
    found = []
    for line in lines:
        with suppress(TypeError, KeyError):
            content = _content_of(line)
            if content is not None:
                found.append(_Entry(content, frozenset(map(str, content["images"]))))
    return found, len(lines) - len(found)


def _content_of(line: bytes) -> dict[str, Any] | None:
    """Return the content of a line; ``None`` if it is damaged."""
    try:
        return opened(object_of(line))
    except ValueError:
        return None
