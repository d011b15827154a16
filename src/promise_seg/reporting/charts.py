"""Charts as SVG, identical for identical data. Series differ in markers and line styles as well as in colour."""

import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from promise_seg.reporting.blocks import Chart
from promise_seg.reporting.svg import bare_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#9c4f8b", "#4d4d4d", "#8a6d00")
"""Colours after Okabe and Ito 2008, distinguishable with any colour vision; two of them are darkened."""
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 2)))
_WIDTH, _FULL_WIDTH = 5.2, 9.0  # inches, like all sizes in matplotlib
_LONGEST_LABEL, _LONGEST_IN_FULL_WIDTH = 34, 60
_NARROW_RANGE = 5
"""A logarithmic axis whose ends differ by less than this factor has equidistant ticks."""
_MANY_POINTS = 16
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "promise-seg",
    "text.parse_math": False,
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "legend.fontsize": 10,
    "text.color": "#1d2730",
    "axes.labelcolor": "#1d2730",
    "axes.edgecolor": "#8a97a1",
    "xtick.color": "#1d2730",
    "ytick.color": "#1d2730",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": "#dfe5ea",
    "grid.linewidth": 0.8,
}


def line_chart(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    name: str,
    x_label: str,
    y_label: str,
    y_limits: tuple[float, float] | None = None,
    log_y: bool = False,
    marks: Sequence[tuple[float, float, str]] = (),
    caption: str = "",
) -> Chart:
    """Draw a line chart with one line per series.

    Args:
        series: maps the name of each series to its points (x, y).
        name: a description for readers who cannot see the chart.
        x_label: the label of the x axis.
        y_label: the label of the y axis.
        y_limits: the limits of the y axis; by default the range of the data.
        log_y: whether the y axis is logarithmic; values of 0 or less are then left out.
        marks: points (x, y) to circle, each with a note.
        caption: the text below the chart.
    """
    with _figure(3.0) as (figure, axes):
        for number, (label, points) in enumerate(series.items()):
            shown = [(x, y) for x, y in points if y > 0 or not log_y]
            style: dict[str, Any] = {"color": _of(_COLOURS, number), "linestyle": _of(_LINES, number), "linewidth": 1.7}
            if len(shown) <= _MANY_POINTS:
                style |= {"marker": _of(_MARKERS, number), "markersize": 4}
            axes.plot([x for x, _ in shown], [y for _, y in shown], label=_short(label), **style)
        for x, y, words in marks:
            axes.plot([x], [y], "o", markersize=9, markerfacecolor="none", markeredgecolor="#1d2730")
            _note(axes, x, y, words)
        if log_y:
            _log_scale(axes)
        if y_limits is not None:
            axes.set_ylim(*y_limits)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(axis="y")
        if all(float(x).is_integer() for points in series.values() for x, _ in points):
            axes.locator_params(axis="x", integer=True)
        if len(series) > 1:
            figure.legend(loc="outside lower center", ncols=min(3, len(series)), frameon=False)
        return Chart(_drawn(figure), name, caption)


def interval_chart(
    rows: Sequence[tuple[str, float, tuple[float, float] | None, str]],
    *,
    name: str,
    x_label: str,
    caption: str = "",
) -> Chart:
    """Draw means with their 95 % intervals, one below the other, in a narrow and a wide form.

    Args:
        rows: the label, mean, ends of the interval (or ``None``) and kind of each mean. Each kind has its own colour
            and marker; a legend below the chart names the kinds if there are several. Rows with the same label share a
            line.
        name: a description for readers who cannot see the chart.
        x_label: the label of the x axis.
        caption: the text below the chart.
    """
    narrow, wide = (_drawn_intervals(rows, x_label, width) for width in (_WIDTH, _FULL_WIDTH))
    return Chart(narrow, name, caption, wide)


def _drawn_intervals(
    rows: Sequence[tuple[str, float, tuple[float, float] | None, str]], x_label: str, width: float
) -> str:
    labels = list(dict.fromkeys(label for label, *_ in rows))
    kinds = list(dict.fromkeys(kind for *_, kind in rows))
    shared = len(labels) < len(rows)
    height = 0.7 + (0.34 if shared else 0.26) * len(labels) + (0.25 if len(kinds) > 1 else 0)
    longest = _LONGEST_IN_FULL_WIDTH if width == _FULL_WIDTH else _LONGEST_LABEL
    with _figure(height, width) as (figure, axes):
        for number, kind in enumerate(kinds):
            of_kind = [(label, mean, ends or (mean, mean)) for label, mean, ends, its in rows if its == kind]
            apart = (number - (len(kinds) - 1) / 2) * 0.5 / len(kinds) if shared else 0.0
            means = [mean for _, mean, _ in of_kind]
            whiskers = [[mean - low for _, mean, (low, _) in of_kind], [high - mean for _, mean, (_, high) in of_kind]]
            axes.errorbar(
                means, [labels.index(label) + apart for label, *_ in of_kind], xerr=[[max(0.0, w) for w in side]
                for side in whiskers], fmt=_of(_MARKERS, number), color=_of(_COLOURS, number), capsize=2.5,
                markersize=5, linewidth=1.4, label=_short(kind, 48),
            )  # fmt: skip
        axes.set_yticks(range(len(labels)), [_short(label, longest) for label in labels])
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel=x_label)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        if len(kinds) > 1:
            columns = 1 if max(map(len, kinds)) > 5 * width else 2
            figure.legend(loc="outside lower center", ncols=columns, frameon=False)
        return _drawn(figure)


def calibration_chart(points: Sequence[tuple[float, float]], *, name: str, caption: str = "") -> Chart:
    """Draw a calibration curve of mean Dice over mean trust; on the diagonal, trust equals Dice.

    Both axes have the same range, a multiple of 0.1 that holds all points.

    Args:
        points: the mean trust and mean Dice of each bin.
        name: a description for readers who cannot see the chart.
        caption: the text below the chart.
    """
    ends = [end for point in points for end in point]
    low, high = math.floor(10 * min(ends)) / 10, math.ceil(10 * max(ends)) / 10
    low, high = (low, high) if low < high else (low - 0.1, high) if high > 0.5 else (low, high + 0.1)
    margin = 0.02 * (high - low)
    with _figure(3.4) as (figure, axes):
        axes.plot([low, high], [low, high], "--", color="#6b7780", linewidth=1.2, label="perfectly calibrated")
        axes.plot(
            [trust for trust, _ in points], [dice for _, dice in points], "o-", color=_COLOURS[0], markersize=5,
            linewidth=1.5, label="images with similar trust",
        )  # fmt: skip
        limits = (low - margin, high + margin)
        axes.set(xlim=limits, ylim=limits, xlabel="mean trust (expected Dice)", ylabel="mean Dice")
        axes.grid()
        figure.legend(loc="outside lower center", ncols=1, frameon=False)
        return Chart(_drawn(figure), name, caption)


@contextmanager
def _figure(height: float, width: float = _WIDTH) -> "Iterator[tuple[Figure, Axes]]":
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # only layout uses these fonts; the reader has others
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def _drawn(figure: "Figure") -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return bare_svg(file.getvalue())


def _log_scale(axes: "Axes") -> None:
    """Make the y axis logarithmic, with plain numbers as labels, as many as fit."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    decades = math.log10(high / low)
    axes.yaxis.set_major_formatter("{x:g}")
    if high < _NARROW_RANGE * low:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_minor_locator(NullLocator())
        return
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5) if decades > 0.6 else range(2, 10)))
    axes.yaxis.set_minor_formatter("{x:g}" if decades < 2 else NullFormatter())


def _note(axes: "Axes", x: float, y: float, words: str) -> None:
    """Write a note below a point, aligned to the side where there is room."""
    low, high = axes.get_xlim()
    place = 0.5 if high == low else (x - low) / (high - low)
    side = "left" if place < 0.3 else "right" if place > 0.7 else "center"
    axes.annotate(words, (x, y), xytext=(0, -8), textcoords="offset points", ha=side, va="top", fontsize=9.5)


def _short(label: str, longest: int = _LONGEST_LABEL) -> str:
    """Return a label that is valid in SVG and not too long; control characters, as in some manifests, are replaced."""
    label = _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", label)
    return label if len(label) <= longest else label[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _of(cycle: Sequence[Any], number: int) -> Any:
    return cycle[number % len(cycle)]
