"""Implement ``promise predict --status``."""

from pathlib import Path
from typing import TYPE_CHECKING

from promise_seg.cli.common import print_lines, print_table, stages_bar
from promise_seg.errors import SettingsError
from promise_seg.quantities import count_in_words
from promise_seg.storage.object_stores import address_of

if TYPE_CHECKING:
    from promise_seg.prediction.part_status import PartStatus


def print_status(output: Path, part: str | None, ray: str | None) -> int:
    """Print the progress and speed of all parts in a folder, and the processes at work; return the exit code.

    Raises:
        SettingsError: if ``part`` or ``ray`` is given, which do not apply to the status.
    """
    from promise_seg.workflows.predicting import prediction_status

    if part is not None or ray is not None:
        given = "--ray" if part is None else f"--part {part}"
        raise SettingsError(f"{given}: cannot be combined with --status, which covers all parts. Leave it out")
    with stages_bar() as progress:
        status = prediction_status(output, progress=progress)
    shown = address_of(output) or output
    print(
        f"{shown}: {status.done:,} of {status.images:,} images done, {status.failed:,} failed, "
        f"{status.missing:,} missing"
    )
    print(_pace(status))
    if status.workers:
        _print_workers(status)
    if status.damaged:
        print_lines(
            [f"left out {count_in_words(status.damaged, 'damaged line')} of the logs in {shown}/parts"], "warning"
        )
    return 0


def _pace(status: "PartStatus") -> str:
    """Describe the rate and the remaining time."""
    from promise_seg.quantities import seconds_in_words

    if not status.missing and status.failed:
        return f"{status.failed:,} failed; run the same promise predict again, which tries only these"
    if not status.missing:
        return "all images are done; promise predict --merge makes the table"
    if status.seconds_left is None:
        return "no process has predicted an image in the last minutes"
    return f"{status.per_minute:,.1f} images a minute, {seconds_in_words(status.seconds_left)} left at this rate"


def _print_workers(status: "PartStatus") -> None:
    from promise_seg.quantities import seconds_in_words

    rows = [
        (
            one.host,
            str(one.process),
            one.part or "not known yet",
            f"{one.done:,}",
            f"{one.per_minute:,.1f}",
            f"{one.claims:,}",
            f"{seconds_in_words(one.silent_seconds)} ago" if one.part else "none yet",
        )
        for one in status.workers
    ]
    print_table(("host", "process", "part", "done", "a minute", "claimed now", "last image"), rows)
