"""Means over strata of the images: by object size, or by a column of the manifest."""

from collections.abc import Callable, Iterable, Sequence

from promise_seg.arguments import shown
from promise_seg.assessment.evaluation import Result
from promise_seg.assessment.statistics import mean_interval
from promise_seg.assessment.summary import Stratum
from promise_seg.dataset.manifest import Row
from promise_seg.errors import SettingsError

SIZE = "size"
GROUP = "group"
_SIZES = ((0.01, "under 1 %"), (0.05, "1 to 5 %"), (0.2, "5 to 20 %"), (float("inf"), "over 20 %"))
_NOTHING = "no object"
SIZES = (_NOTHING, *(name for _, name in _SIZES))
"""The names of the strata by size, in order."""


def size_stratum(result: Result) -> str:
    """Return the stratum of an image, by the share of the image that the ground truth covers."""
    row = result.checked
    share = row.foreground_pixels / (row.height * row.width)
    return next(name for limit, name in _SIZES if share < limit) if share else _NOTHING


def columns_to_group_by(by: str | Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Check the columns to group results by, and return them as a list; call this before long computations.

    Args:
        by: ``size`` or the name of a column, or several names.
        rows: the rows of the manifest.

    Raises:
        SettingsError: if a name is not a string, or the manifest has no such column.
    """
    wanted = [by] if isinstance(by, str) or not isinstance(by, Iterable) else list(by)
    if not all(isinstance(one, str) for one in wanted):
        raise SettingsError(f"by {shown(by)}: expected the name of a column, or several")
    columns = {name for row in rows for name, _ in row.extra}
    if any(row.group != str(row.image) for row in rows):  # otherwise each image is its own group
        columns.add(GROUP)
    for one in wanted:
        if one != SIZE and one not in columns:
            known = ", ".join([SIZE, *sorted(columns)])
            raise SettingsError(f"--by {one}: the manifest has no such column; expected one of {known}")
    return wanted


def _by_column(name: str) -> Callable[[Result], str]:
    if name == GROUP:
        return lambda result: result.checked.row.group
    return lambda result: dict(result.checked.row.extra).get(name, "") or "(empty)"


def strata(results: Sequence[Result], by: str, values: dict[str, list[float]], seed: int) -> dict[str, Stratum]:
    """Return the numbers of images and groups, the mean Dice with its interval and the mean IoU of each stratum.

    Args:
        results: the results of the images.
        by: ``size``, or a column of the manifest.
        values: the values of each measure, one per result.
        seed: the seed of the intervals.

    Raises:
        SettingsError: if the manifest has no such column.
    """
    columns_to_group_by(by, [result.checked.row for result in results])
    stratum_of = size_stratum if by == SIZE else _by_column(by)
    names = [stratum_of(result) for result in results]
    order = SIZES if by == SIZE else sorted(set(names))
    found: dict[str, Stratum] = {}
    for name in order:
        chosen = [i for i, one in enumerate(names) if one == name]
        if not chosen:
            continue
        groups = [results[i].checked.row.group for i in chosen]
        dice = mean_interval([values["dice"][i] for i in chosen], groups, seed=seed)
        found[name] = Stratum(
            images=len(chosen),
            groups=len(set(groups)),
            dice=round(dice.mean, 6),
            dice_interval=dice.ends,
            iou=round(sum(values["iou"][i] for i in chosen) / len(chosen), 6),
        )
    return found
