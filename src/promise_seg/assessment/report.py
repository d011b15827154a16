"""Summarise and write the results of an evaluation: one line per image, and means with their intervals."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from promise_seg.assessment.evaluation import Assessment, Result
from promise_seg.assessment.measures import MEASURE_NAMES, rule_for_nothing
from promise_seg.assessment.statistics import mean_interval
from promise_seg.assessment.strata import SIZE, strata
from promise_seg.assessment.structure import THRESHOLDS
from promise_seg.assessment.summary import EvaluationSummary, Subject, scores_sha256
from promise_seg.assessment.volume_report import volumes_path, write_volumes
from promise_seg.assessment.volumes import HASHES, VolumeScore
from promise_seg.images.reading import Reading
from promise_seg.model import PromiseModel
from promise_seg.protocol import evaluation_deviations
from promise_seg.storage.files import write_text
from promise_seg.storage.sealed import write_sealed
from promise_seg.vocabulary import PromptSource, Protocol


def values_by_measure(results: Sequence[Result]) -> dict[str, list[float]]:
    """Return the values of each measure, one per image, in the order of the table of measures.

    For measures with a common threshold, they are the values at the threshold with the best mean over all ``results``.
    Their mean is therefore the maximum of the mean curve, as reported in the literature as ``maxEm`` and ``maxFm``.
    """
    rows = [vars(r.scores) | r.measures for r in results]
    found = {name: [row[name] for row in rows] for name in rows[0]}
    for name, index in _best_thresholds(results).items():
        found[name] = [float(r.curves[name][index]) for r in results]
    return {name: found[name] for name in sorted(found, key=MEASURE_NAMES.index)}


def _best_thresholds(results: Sequence[Result]) -> dict[str, int]:
    """Return the index of the best threshold on average, for each measure with a common threshold for all images."""
    curves = {name: np.mean([r.curves[name] for r in results], 0, dtype=np.float64) for name in results[0].curves}
    return {name: int(np.argmax(curve)) for name, curve in curves.items()}


def subject_of(
    model: PromiseModel, run: str, assessment: Assessment, reading: Reading, *, data: str, split: str
) -> Subject:
    """Return the description of the scored model and images for a summary.

    Args:
        model: the model that was scored.
        run: the model, as the user named it.
        assessment: how it was scored.
        reading: how the files were read.
        data: the manifest, as the user named it.
        split: the split of the rows.
    """
    return Subject(
        model=run,
        variant=str(model.config.variant),
        sam=model.sam.name,
        image_size=model.sam.image_size,
        mask_choice=assessment.choice_for(model),
        model_sha256=model.sha256(),
        postprocessing=postprocessing_words(model, assessment),
        reading=reading.model_dump(mode="json"),
        data=data,
        split=split,
        **_always_segment(model, assessment),
    )


def _always_segment(model: PromiseModel, assessment: Assessment) -> dict[str, bool]:
    """Return the fact that images judged to be empty were segmented too; empty if the model judges none to be empty."""
    judges = assessment.prompts == PromptSource.APM and model.config.presence_threshold is not None
    return {"always_segment": True} if judges and model.always_segments else {}


def postprocessing_words(model: PromiseModel, assessment: Assessment) -> str:
    """Describe the post-processing of masks before scoring; the reference's protocol has its own."""
    if assessment.protocol != Protocol.OWN:
        return "opening 5, of the reference's protocol"
    rule = assessment.rule_for(model)
    return model.config.postprocessing.words + (f"; volumes: {rule.words}" if rule.changes else "")


def summarise(
    results: Sequence[Result], assessment: Assessment, subject: Subject, by: Sequence[str] = (SIZE,)
) -> EvaluationSummary:
    """Return the summary of an evaluation: means, their intervals, and the facts that they depend on.

    Args:
        results: the results of all images.
        assessment: how they were scored.
        subject: what was scored.
        by: the strata to report: ``size``, or columns of the manifest.

    Raises:
        SettingsError: if the manifest has no such column.
    """
    values = values_by_measure(results)
    groups = [r.checked.row.group for r in results]
    intervals = {name: mean_interval(column, groups, seed=assessment.seed) for name, column in values.items()}
    return EvaluationSummary(
        **subject.model_dump(exclude_unset=True),
        prompts=assessment.prompts,
        prompts_meaning=assessment.prompts.heading,
        prompts_read_the_ground_truth=assessment.prompts.reads_truth,
        oracle_points=assessment.num_points if assessment.prompts == PromptSource.ORACLE else None,
        seed=assessment.seed,
        protocol=assessment.protocol,
        protocol_deviations=tuple(evaluation_deviations(assessment.protocol)),
        tolerance=str(assessment.tolerance),
        images=len(results),
        groups=len(set(groups)),
        images_with_empty_truth=sum(r.checked.foreground_pixels == 0 for r in results),
        images_with_empty_prediction=sum(r.is_empty for r in results),
        rule_for_nothing=rule_for_nothing(),
        mean={name: round(found.mean, 6) for name, found in intervals.items()},
        interval={name: found.ends for name, found in intervals.items()},
        strata={name: strata(results, name, values, assessment.seed) for name in by},
        **_common_thresholds(results),
        **_of_objects(results),
    )


def _common_thresholds(results: Sequence[Result]) -> dict[str, Any]:
    """Return the chosen threshold of each measure with a common threshold for all images."""
    found = {name: round(float(THRESHOLDS[index]), 6) for name, index in _best_thresholds(results).items()}
    return {"thresholds": found} if found else {}


def _of_objects(results: Sequence[Result]) -> dict[str, Any]:
    """Return the number of objects and their mean Dice, weighted equally, if objects were prompted separately."""
    pairs = [(r.objects, r.object_dice) for r in results if r.objects is not None and r.object_dice is not None]
    if not pairs:
        return {}
    count = sum(objects for objects, _ in pairs)
    return {"objects": count, "object_dice": round(sum(n * dice for n, dice in pairs) / count, 6)}


def result_paths(folder: Path, prompts: str, protocol: str) -> tuple[Path, Path]:
    """Return the paths of the scores and the summary of an evaluation.

    For protocols other than our own, the names end in that of the protocol, so results cannot be confused.
    """
    end = "" if protocol == Protocol.OWN else f"_{protocol}"
    return folder / f"scores_{prompts}{end}.csv", folder / f"summary_{prompts}{end}.json"


def write_results(
    folder: Path, results: Sequence[Result], summary: EvaluationSummary, volumes: Sequence[VolumeScore] = ()
) -> tuple[Path, ...]:
    """Write ``scores_<prompts>.csv`` and ``summary_<prompts>.json``; return their paths.

    The summary is written last, and holds the hashes of the scores that it belongs to. If there are ``volumes``,
    ``volumes_<prompts>.csv`` is written as the third file; otherwise an older file of this name is removed. If the
    model does not predict the IoU of its masks, that entry is empty.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    values = values_by_measure(results)
    by_object = summary.objects is not None
    by_trust = any(r.trust is not None for r in results)
    extra = (["objects", "object_dice"] if by_object else []) + (["trust", "nothing_here"] if by_trust else [])
    writer.writerow(["image", "split", "group", *HASHES, "prompts", *values, "predicted_iou", *extra])
    for number, result in enumerate(results):
        row = result.checked.row
        line = [f"{column[number]:.6f}" for column in values.values()]
        line.append("" if math.isnan(result.predicted_iou) else f"{result.predicted_iou:.6f}")
        if by_object:
            line += ["0", ""] if result.object_dice is None else [str(result.objects), f"{result.object_dice:.6f}"]
        if by_trust:
            line += ["", ""] if result.trust is None else [f"{result.trust:.6f}", str(int(bool(result.nothing_here)))]
        hashes = [getattr(result.checked, name) for name in HASHES]
        writer.writerow([result.checked.name, row.split, row.group, *hashes, summary.prompts, *line])
    table, means = result_paths(folder, summary.prompts, summary.protocol)
    write_text(table, text.getvalue())
    whole = volumes_path(table)
    if volumes:
        write_volumes(whole, volumes, summary.prompts)
    else:
        whole.unlink(missing_ok=True)
    of_files = {"scores_sha256": scores_sha256(table)} | ({"volumes_sha256": scores_sha256(whole)} if volumes else {})
    write_sealed(means, summary.model_copy(update=of_files).as_json())  # last, as scores need a summary
    return (table, means, whole) if volumes else (table, means)
