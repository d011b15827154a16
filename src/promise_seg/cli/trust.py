"""What several commands share about trust scores."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from promise_seg.cli.common import console, print_table, progress_bar

if TYPE_CHECKING:
    from promise_seg.trust.calibrating import Progress
    from promise_seg.trust.judging import TrustModel
    from promise_seg.trust.quality import Quality


@contextmanager
def calibration_bar() -> "Iterator[Progress]":
    """A bar that is told of each image."""
    with progress_bar() as bar:
        task = bar.add_task("calibrating", total=None, note="")

        def report(_stage: str, done: int, total: int, note: str) -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield report


def print_quality(quality: "Quality", title: str) -> None:
    """A short table on standard output."""
    from promise_seg.assessment.report import interval_words

    curve = {round(point.coverage, 2): point.dice for point in quality.risk_coverage}
    interval = quality.rank_correlation_interval
    nothing = quality.nothing_here
    rows = [
        ("rank correlation with Dice", _number(quality.rank_correlation)),
        ("its 95 % interval", interval_words(None if interval is None else list(interval))),
        ("Dice of all, and of the more trusted half", f"{curve[1.0]:.4f}, {curve[0.5]:.4f}"),
        ("area under risk (by chance, ideal)",
         f"{quality.area_under_risk:.4f} ({quality.area_by_chance:.4f}, {quality.area_ideal:.4f})"),
        ("mean absolute error as a guess of Dice", f"{quality.mean_absolute_error:.4f}"),
        ("'nothing here': false alarms", _share(nothing.false_alarms, nothing.images_without_object)),
        ("'nothing here': misses", _share(nothing.misses, nothing.images_with_object)),
    ]  # fmt: skip
    print_table(("trust", ""), rows, f"{title}, {quality.images} images")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(count: int, of: int) -> str:
    return f"{count} of {of} ({count / of:.1%})" if of else "- (no such images)"


def print_learned(trust: "TrustModel") -> None:
    """What a calibration has learned, and how good it is on val rows that it was not fitted on."""
    calibration = trust.calibration
    line = calibration.line
    if any(line.weights):
        weights = ", ".join(
            f"{name.replace('_', ' ')} {w:+.3f}" for name, w in zip(line.names, line.weights, strict=True)
        )
        console.print(f"trust = {line.mean:.3f}, and for each standard deviation: {weights}")
    else:
        console.print(
            f"trust is {line.mean:.3f}, the mean Dice of the val rows, for every image: they are too few, of one group,"
            " or the signals say nothing about them"
        )
    console.print(f"decision: {calibration.presence.rule}")
    print_quality(calibration.quality, "trust on val rows, each judged without its group")
