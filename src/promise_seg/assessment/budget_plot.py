"""The chart of the prompt error budget."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promise_seg.storage.files import write_whole


def draw_budget(budget: Sequence[dict[str, Any]], title: str, picture: Path) -> None:
    """Draw the mean Dice of each kind of prompts with its 95 % interval to a PNG or SVG file.

    Automatic prompts and prompts made from the ground truth have different colours.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.6 + 0.3 * len(budget)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for reads_truth, colour, words in ((False, "#1f6f8b", "automatic"), (True, "#c06014", "from the ground truth")):
        rows = [(n, one) for n, one in enumerate(budget) if one["reads_the_ground_truth"] == reads_truth]
        places = [n for n, _ in rows]
        means = [one["dice"] for _, one in rows]
        ends = [one["interval"] or [one["dice"]] * 2 for _, one in rows]
        errors = [[m - low for m, (low, _) in zip(means, ends, strict=True)],
                  [high - m for m, (_, high) in zip(means, ends, strict=True)]]  # fmt: skip
        axes.errorbar(means, places, xerr=errors, fmt="o", color=colour, capsize=3, label=words)
    axes.set_yticks(range(len(budget)), [one["prompts"] for one in budget])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="mean Dice, 95 % over groups")
    axes.set_title(title, parse_math=False)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    write_whole(picture, lambda path: figure.savefig(path, dpi=110))
