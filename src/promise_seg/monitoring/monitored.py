"""Monitor long runs from Python, like the options ``--log-file`` and ``--metrics``."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from promise_seg._version import __version__
from promise_seg.arguments import checks_arguments
from promise_seg.monitoring.hooks import Listener, happened, listening, progressed
from promise_seg.monitoring.json_log import event_log
from promise_seg.monitoring.metrics import LOCAL, check_metrics_host, served_metrics
from promise_seg.progress import Progress

_RUN = "PROMISE_SEG_RUN"
_LONGEST_RUN = 200


@checks_arguments("log_file", "metrics", "metrics_host", "work", "note")
@contextmanager
def monitored(
    *,
    log_file: str | Path | None = None,
    metrics: int | None = None,
    metrics_host: str = LOCAL,
    work: str = "python",
    note: Callable[[str], object] = str,
) -> Iterator[Progress]:
    """Log events and serve metrics in a block: ``with promise_seg.monitored(log_file="x.jsonl"):``.

    Yields a progress callback; pass it as ``progress`` to other functions for metrics of their progress.

    Args:
        log_file: file that a JSON line is appended to for each item and event; in a folder, each process gets its own
            file, and the folder is created if the path ends with a slash; ``-`` is standard output.
        metrics: port that Prometheus reads metrics from; 0 for any free port.
        metrics_host: address of this computer to serve metrics on; there is no password.
        work: name of the work as a whole in the log.
        note: called with a message that has the address of the metrics.

    Raises:
        SettingsError: if the file cannot be written, the port cannot be used, or a required package is missing.
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
    """Return a name with bytes that are not UTF-8 replaced, because Prometheus does not accept them."""
    return name.encode(errors="surrogateescape").decode(errors="replace")
