"""The chart of the prompt error budget."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promise_seg.assessment.statistics import interval_axis
from promise_seg.storage.files import write_whole

_KINDS = ((False, "#1f6f8b", "automatic, or none"), (True, "#c06014", "from the ground truth"))
"""Whether prompts read the ground truth, their colour, and their kind in words."""


def draw_budget(budget: Sequence[dict[str, Any]], title: str, picture: Path, groups: int | None = None) -> None:
    """Draw the mean Dice of each kind of prompts with its 95 % interval to a PNG or SVG file.

    Prompts made from the ground truth have a colour of their own.

    Args:
        budget: the rows of ``budget.json``.
        title: the title of the figure.
        picture: the file.
        groups: the number of groups that the intervals are over; ``None`` if it is not known.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.6 + 0.3 * len(budget)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for reads_truth, colour, words in _KINDS:
        rows = [(n, one) for n, one in enumerate(budget) if one["reads_the_ground_truth"] == reads_truth]
        places = [n for n, _ in rows]
        means = [one["dice"] for _, one in rows]
        ends = [one["interval"] or [one["dice"]] * 2 for _, one in rows]
        errors = [[m - low for m, (low, _) in zip(means, ends, strict=True)],
                  [high - m for m, (_, high) in zip(means, ends, strict=True)]]  # fmt: skip
        axes.errorbar(means, places, xerr=errors, fmt="o", color=colour, capsize=3, label=words)
    axes.set_yticks(range(len(budget)), [one["prompts"] for one in budget])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel=f"mean Dice, {interval_axis([] if groups is None else [groups])}")
    axes.set_title(title, parse_math=False)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    write_whole(picture, lambda path: figure.savefig(path, dpi=110))
