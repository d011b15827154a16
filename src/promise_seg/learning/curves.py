"""Plot the log of a run."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promise_seg.learning.run_log import read_log
from promise_seg.storage.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARGINS = {"left": 0.07, "right": 0.985, "bottom": 0.16, "top": 0.91, "wspace": 0.32}
"""Margins as shares of the figure; a layout that measures its texts takes as long as the drawing itself."""
_TOP_OF_LEGEND = 0.2
"""The Dice at the upper edge of a legend in the lower right corner."""
_NARROW = 5
"""A logarithmic axis whose ends differ by less than this factor has equidistant ticks."""


def draw_curves(log: Path, picture: Path) -> None:
    """Plot losses, validation Dice and learning rate over epochs, from a JSONL log to a PNG file.

    If the log is missing or holds no epochs, the axes are empty.

    Raises:
        CheckpointError: if the log is damaged.
        PromiseError: if the figure cannot be written.
    """
    figure = figure_of(read_log(log))
    write_whole(picture, lambda path: figure.savefig(path, dpi=110))


def figure_of(lines: Sequence[dict[str, Any]]) -> "Figure":
    """Return the figure of the lines of a log, with losses, Dice and learning rate side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    epochs = [line["epoch"] for line in lines]
    figure = Figure(figsize=(11, 3.2))
    FigureCanvasAgg(figure)
    losses, dice, rate = figure.subplots(1, 3, gridspec_kw=_MARGINS)
    for name in ("mask", "point", "saliency"):
        if lines and name in lines[0]:
            values = [math.nan if line[name] is None else line[name] for line in lines]
            losses.plot(epochs, values, label=name)
    losses.set(title="training losses", xlabel="epoch", ylabel="loss (log scale)", yscale="log")
    if losses.lines:
        losses.legend()
        _label_plainly(losses)
    scored = [(line["epoch"], line["val_dice"]) for line in lines if "val_dice" in line]
    dice.set(title="mean Dice on val rows", xlabel="epoch", ylabel="Dice", ylim=(0, 1))
    if scored:
        epoch, best = max(scored, key=lambda one: one[1])
        dice.plot(*zip(*scored, strict=True), ".-")
        dice.plot(epoch, best, "o", label=f"best {best:.3f}, epoch {epoch}")
        dice.legend(loc="lower right" if min(value for _, value in scored) > _TOP_OF_LEGEND else "upper right")
    rate.plot(epochs, [line["learning_rate"] for line in lines])
    dice.set_xlim(rate.get_xlim())  # not every epoch is scored
    rate.set(title="learning rate", xlabel="epoch", ylabel="learning rate")
    for axes in (losses, dice, rate):
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)  # there is no epoch 1.5
    return figure


def _label_plainly(axes: "Axes") -> None:
    """Label a logarithmic y axis with decimal numbers, such as 0.9 or 0.05, instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = axes.get_ylim()
    is_narrow = high < _NARROW * low
    axes.yaxis.set_major_locator(MaxNLocator(5) if is_narrow else LogLocator(subs=(1, 2, 5), numticks=12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
