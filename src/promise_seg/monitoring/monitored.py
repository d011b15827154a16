"""Watch long work of this process, as the options ``--log-file`` and ``--metrics`` do."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from promise_seg._version import __version__
from promise_seg.monitoring.hooks import Listener, happened, listening, progressed
from promise_seg.monitoring.json_log import event_log
from promise_seg.monitoring.metrics import LOCAL, check_metrics_host, served_metrics
from promise_seg.progress import Progress

_RUN = "PROMISE_SEG_RUN"
_LONGEST_RUN = 200


@contextmanager
def monitored(
    *,
    log_file: str | Path | None = None,
    metrics: int | None = None,
    metrics_host: str = LOCAL,
    work: str = "python",
    note: Callable[[str], object] = str,
) -> Iterator[Progress]:
    """Log and count what this process does while the block lasts: ``with promise_seg.monitored(log_file="x.jsonl"):``.

    Yields what takes progress: pass it as ``progress`` for metrics of how far the work is.

    Args:
        log_file: a line of JSON is appended to it for each item and event; a folder gets a file of each process, and
            is made if the text ends with a slash; ``-`` is standard output.
        metrics: the port at which Prometheus may ask for metrics; 0 for any free one.
        metrics_host: the address of this computer at which it may ask. There is no password.
        work: the name of all of the work in the log.
        note: told the address of the metrics.

    Raises:
        SettingsError: if the file cannot be written, the port cannot be used, or what it needs is not installed.
    """
    check_metrics_host(metrics, metrics_host)
    if log_file is None and metrics is None:
        yield progressed
        return
    run = _plain(os.environ.get(_RUN, ""))[:_LONGEST_RUN] or secrets.token_hex(8)
    with ExitStack() as stack:
        listeners: list[Listener] = []
        if log_file is not None:
            listeners.append(stack.enter_context(event_log(log_file, run)))
        if metrics is not None:
            counting, address = stack.enter_context(served_metrics(metrics, metrics_host, run))
            note(f"metrics at {address}")
            listeners.append(counting)
        stack.enter_context(listening(*listeners))
        started = time.monotonic()
        happened("begin", work=work, promise_seg=__version__)
        try:
            yield progressed
        except BaseException as error:
            seconds = round(time.monotonic() - started, 3)
            happened("end", work=work, seconds=seconds, error=type(error).__name__, message=str(error))
            raise
        happened("end", work=work, seconds=round(time.monotonic() - started, 3))


def _plain(name: str) -> str:
    """Return a name of the environment with bytes that are no UTF-8 replaced, as Prometheus takes none."""
    return name.encode(errors="surrogateescape").decode(errors="replace")
