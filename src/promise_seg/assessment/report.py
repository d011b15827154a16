"""Results of an evaluation as files: one line for each image, and the means."""

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from promise_seg.assessment.evaluation import Assessment, Result
from promise_seg.assessment.metrics import Scores, mean_scores
from promise_seg.files import write_json, write_text
from promise_seg.protocol import Protocol, evaluation_deviations


def summarise(results: list[Result], assessment: Assessment, facts: dict[str, Any]) -> dict[str, Any]:
    """Means and what they are means of. ``facts`` are added as they are (model, split, data)."""
    empty = sum(r.checked.foreground_pixels == 0 for r in results)
    return (
        facts
        | {
            "prompts": str(assessment.prompts),
            "prompts_meaning": assessment.prompts.label,
            "prompts_read_the_ground_truth": assessment.prompts.reads_truth,
            "oracle_points": assessment.num_points if assessment.prompts == "oracle" else None,
            "seed": assessment.seed,
            "protocol": str(assessment.protocol),
            "protocol_deviations": list(evaluation_deviations(assessment.protocol)),
            "images": len(results),
            "images_with_empty_truth": empty,
            "mean": {k: round(v, 6) for k, v in asdict(mean_scores([r.scores for r in results])).items()},
        }
        | _of_objects(results)
    )


def _of_objects(results: list[Result]) -> dict[str, Any]:
    """Where each object was prompted for itself: how many, and their mean Dice, each object counting the same."""
    pairs = [(r.objects, r.object_dice) for r in results if r.objects is not None and r.object_dice is not None]
    if not pairs:
        return {}
    count = sum(objects for objects, _ in pairs)
    return {"objects": count, "object_dice": round(sum(n * dice for n, dice in pairs) / count, 6)}


def write_results(folder: Path, results: list[Result], summary: dict[str, Any]) -> tuple[Path, Path]:
    """Write ``scores_<prompts>.csv`` and ``summary_<prompts>.json``; returns their paths.

    Names of results by another protocol than our own end in its name, so that the two are never taken for each other.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    by_object = "objects" in summary
    extra = ["objects", "object_dice"] if by_object else []
    writer.writerow(["image", "split", "prompts", *Scores.names(), "predicted_iou", *extra])
    for result in results:
        values = [f"{v:.6f}" for v in asdict(result.scores).values()]
        values.append(f"{result.predicted_iou:.6f}")
        if by_object:
            values += ["0", ""] if result.object_dice is None else [str(result.objects), f"{result.object_dice:.6f}"]
        writer.writerow([result.checked.name, result.checked.row.split, summary["prompts"], *values])
    protocol = "" if summary["protocol"] == Protocol.OWN else f"_{summary['protocol']}"
    table, means = (
        folder / f"{stem}_{summary['prompts']}{protocol}{end}"
        for stem, end in (("scores", ".csv"), ("summary", ".json"))
    )
    write_text(table, text.getvalue())
    write_json(means, summary)
    return table, means
