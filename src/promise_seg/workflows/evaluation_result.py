"""Results of an evaluation: the scores of one model, as records and as a table in a notebook."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from promise_seg.assessment.evaluation import Result
from promise_seg.assessment.measures import find_measure, heading_of, name_with_unit
from promise_seg.assessment.measuring import Unit
from promise_seg.assessment.report import values_by_measure
from promise_seg.assessment.statistics import interval_heading, interval_words
from promise_seg.assessment.summary import EvaluationSummary
from promise_seg.assessment.volumes import VolumeScore
from promise_seg.quantities import count_in_words
from promise_seg.workflows.tables import pandas

_PLAIN = {
    "mae": "mean absolute error of probabilities", "maxEm": "E-measure, maximum", "meanEm": "E-measure, mean",
    "adpEm": "E-measure, adaptive", "maxFm": "F-measure, maximum", "meanFm": "F-measure, mean",
    "adpFm": "F-measure, adaptive", "weighted_f": "weighted F-measure", "assd": "average surface distance",
    "average_precision": "average precision", "average_precision_50": "average precision at IoU 0.5",
    "panoptic_quality": "panoptic quality", "object_f1": "F1, mean over IoU 0.5 to 0.95",
    "object_f1_50": "F1 at IoU 0.5", "object_f1_75": "F1 at IoU 0.75", "object_f1_90": "F1 at IoU 0.9",
    "count_error": "count error, as a share of the larger count",
}  # fmt: skip
"""The names of measures in tables where their headings are abbreviated."""


def measures_in_order(names: Iterable[str]) -> list[str]:
    """Return the names of measures in the order of tables: first those of the objects of instance maps, if any."""
    return sorted(names, key=lambda name: (found := find_measure(name)) is None or not found.only_for_instances)


def measure_words(name: str, unit: str) -> str:
    """Return a readable name of a measure, with its name in files if that differs.

    Args:
        name: the name in files.
        unit: the unit of distances.
    """
    measure = find_measure(name)
    heading = _PLAIN.get(name, heading_of(name))
    of_objects = "objects: " if measure is not None and measure.only_for_instances else ""
    in_files = "" if heading.lower() == name else f" [{name}]"
    return f"{of_objects}{heading}{f' ({unit})' if measure is not None and measure.is_distance else ''}{in_files}"


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model on some images.

    Args:
        name: what the user calls the model.
        results: the result of each image, in the order of the rows.
        summary: means, their intervals, and all settings that they depend on.
        notes: remarks on the results, a line each.
        files: the files that were written: scores and summary, and scores of volumes if there are any.
        volumes: the score of each volume, in the order of the rows; empty if the images are not slices.
    """

    name: str
    results: tuple[Result, ...]
    summary: EvaluationSummary
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    volumes: tuple[VolumeScore, ...] = ()

    @property
    def mean(self) -> dict[str, float]:
        """The mean of each measure over the images, by the name of the measure."""
        return self.summary.mean

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each image: its name, split and group, all measures, predicted IoU and trust score."""
        rows, values = [], values_by_measure(self.results)
        for number, result in enumerate(self.results):
            row = result.checked.row
            facts: dict[str, Any] = {"image": result.checked.name, "split": str(row.split), "group": row.group}
            facts |= {name: column[number] for name, column in values.items()}
            facts["predicted_iou"] = result.predicted_iou
            if self.summary.objects is not None:
                facts |= {"objects": result.objects, "object_dice": result.object_dice}
            if result.trust is not None:
                facts |= {"trust": result.trust, "nothing_here": result.nothing_here}
            rows.append(facts)
        return rows

    def volume_records(self) -> list[dict[str, Any]]:
        """Return a row for each volume: its name, split, group, slice counts, and its measures; distances in mm."""
        return [
            {
                "image": one.name,
                "split": one.split,
                "group": one.group,
                "slices": len(one.rows),
                "slices_of_volume": one.volume.slices_of_volume,
            }
            | one.measures
            for one in self.volumes
        ]

    def to_pandas(self) -> Any:
        """Return :meth:`records` as a ``pandas.DataFrame``.

        Raises:
            SettingsError: if pandas is not installed.
        """
        return pandas().DataFrame.from_records(self.records())

    def __repr__(self) -> str:
        """Return the mean Dice with its interval, and the number of images."""
        summary = self.summary
        interval = summary.interval["dice"]
        words = "" if interval is None else f" ({interval_words(interval)})"
        return (
            f"Evaluation({self.name!r}: Dice {summary.mean['dice']:.4f}{words} on {summary.images} {summary.split} "
            f"images, {summary.prompts_meaning})"
        )

    def _repr_html_(self) -> str:
        """Return the view in a notebook: a table of means with their intervals, and the notes below."""
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{value:.4f}</td>"
            f"<td>{escape(interval_words(self.summary.interval[name]))}</td></tr>"
            for name, value in self.summary.mean.items()
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        head = f"{self.name}, {self.summary.images} {self.summary.split} images, {self.summary.prompts_meaning}"
        return _html_table(head, rows, self.summary.groups) + self._volumes_html() + notes

    def _volumes_html(self) -> str:
        """Return the table of volumes, or an empty string if there are none."""
        found = self.summary.volumes
        if found is None:
            return ""
        rows = "".join(
            f"<tr><td>{escape(name_with_unit(name, Unit.MILLIMETRES))}</td><td>{value:.4f}</td>"
            f"<td>{escape(interval_words(found.interval[name]))}</td></tr>"
            for name, value in found.mean.items()
        )
        return _html_table(f"{found.volumes_words}, in {count_in_words(found.groups, 'group')}", rows, found.groups)


def _html_table(caption: str, rows: str, groups: int) -> str:
    head = f"<tr><th>measure</th><th>mean</th><th>{interval_heading([groups])}</th></tr>"
    return f"<table><caption>{escape(caption)}</caption>{head}{rows}</table>"
