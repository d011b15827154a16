"""A log of events as JSON lines through the standard ``logging`` module, which several processes can share."""

import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promise_seg.errors import SettingsError
from promise_seg.monitoring.hooks import Listener
from promise_seg.storage.object_stores import is_address
from promise_seg.vocabulary import ItemOutcome

STANDARD_OUTPUT = "-"
_lock = threading.Lock()
LOGGER = "promise_seg.events"
"""Name of the logger; programs can add their own handlers to it."""
_FACTS = "facts"


class JsonFormatter(logging.Formatter):
    """A formatter that turns a record of :class:`EventLog` into one JSON line.

    Args:
        run: identifier of the run, the same for all its processes.
    """

    def __init__(self, run: str) -> None:
        super().__init__()
        self._common = {"run": run, "host": socket.gethostname()}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without a line break; bytes in names that are not UTF-8 are written as their codes."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        first = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()}
        facts = first | self._common | {"pid": os.getpid()} | getattr(record, _FACTS, {})
        return json.dumps(_plain(facts), default=str, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return a value with NaN and infinity, which JSON does not support, replaced by ``None``."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not -float("inf") < value < float("inf") else value


class AppendingHandler(logging.Handler):
    """A handler that appends each line with a single system call, so lines of several processes are not mixed.

    Logging never stops the work: if a line cannot be written, such as on a full disk, a warning is printed once.

    Args:
        path: path of the file, or ``-`` for standard output.

    Raises:
        SettingsError: if the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path, self._has_failed, self._is_torn = path, False, False
        self._file: int | None = None
        if path != STANDARD_OUTPUT:
            try:
                self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            except OSError as error:
                raise SettingsError(
                    f"--log-file {path}: cannot be written: {error.strerror}. Give a file in a folder that is there, "
                    "or a folder with a slash at its end, for a file of each process"
                ) from error

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        line = self.format(record) + "\n"
        try:
            if self._file is None:
                sys.stdout.write(line)
                sys.stdout.flush()
                return
            content = (("\n" if self._is_torn else "") + line).encode()
            self._is_torn = os.write(self._file, content) < len(content)
        except (OSError, ValueError, AttributeError) as error:  # the last two if standard output is closed
            if not self._has_failed:
                self._has_failed = True
                reason = getattr(error, "strerror", None) or "it is closed"
                with suppress(OSError, ValueError, AttributeError):
                    print(f"promise: warning: --log-file {self._path}: cannot be written: {reason}. The work goes "
                          "on without it", file=sys.stderr)  # fmt: skip

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        super().close()


def _make_folder(place: str) -> None:
    """Create a folder for logs, with its parents.

    Raises:
        SettingsError: if the folder cannot be created.
    """
    try:
        Path(place).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"--log-file {place}: the folder cannot be made: {error.strerror}. Choose another one, or give a file"
        ) from error


class EventLog(Listener):
    """A listener that passes each event to a logger, with its facts as ``record.facts``."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.before = logger.level, logger.propagate
        """Level and propagation of the logger before the first event log was opened."""

    def item_ended(
        self, work: str, item: str, outcome: ItemOutcome, seconds: float | None, problem: BaseException | None
    ) -> None:
        """Log the outcome of an item; as an error if it failed."""
        facts: dict[str, Any] = {"work": work, "item": item}
        if seconds is not None:
            facts["seconds"] = round(seconds, 4)
        if problem is not None:
            facts |= {"error": type(problem).__name__, "message": str(problem)}
        level = logging.ERROR if outcome == ItemOutcome.FAILED else logging.INFO
        self.logger.log(level, str(outcome), extra={_FACTS: facts})

    def happened(self, event: str, facts: dict[str, Any]) -> None:
        """Log any other event; as an error if its facts have one."""
        level = logging.ERROR if "error" in facts else logging.INFO
        self.logger.log(level, event, extra={_FACTS: facts})


_EVENTS = EventLog(logging.getLogger(LOGGER))
_handlers: list[AppendingHandler] = []


@contextmanager
def event_log(path: str | Path, run: str) -> Iterator[EventLog]:
    """Open an event log and yield its listener, which appends to a file or to a file per process in a folder.

    All logs of this process share one listener, so each log has every event once.

    Args:
        path: path of a file or folder; a folder is created if the path ends with a slash; ``-`` is standard output.
        run: identifier of the run, the same for all its processes.

    Raises:
        SettingsError: if the file cannot be written.
    """
    place = str(path)
    if not place:
        raise SettingsError("--log-file: is empty; expected a file, a folder, or - for standard output")
    if is_address(place):
        raise SettingsError(f"--log-file {place}: is an address; expected a file or a folder of this computer")
    if place.endswith(("/", os.sep)):
        _make_folder(place)
    if place != STANDARD_OUTPUT and Path(place).is_dir():
        place = str(Path(place) / f"{socket.gethostname()}-{os.getpid()}.jsonl")
    handler = AppendingHandler(place)
    handler.setFormatter(JsonFormatter(run))
    logger = _EVENTS.logger
    with _lock:
        if not _handlers:
            _EVENTS.before = logger.level, logger.propagate
            logger.setLevel(logging.INFO)
            logger.propagate = False
        _handlers.append(handler)
        logger.addHandler(handler)
    try:
        yield _EVENTS
    finally:
        with _lock:
            logger.removeHandler(handler)
            handler.close()
            _handlers.remove(handler)
            if not _handlers:
                logger.setLevel(_EVENTS.before[0])
                logger.propagate = _EVENTS.before[1]
