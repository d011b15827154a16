"""The scores of a cell on a test set: write them, or check whether valid scores exist."""

import hashlib
import json
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from promise_seg._version import __version__
from promise_seg.assessment.comparing import read_scored
from promise_seg.assessment.evaluation import Assessment, Result
from promise_seg.assessment.measures import BEST_OF_EACH_IMAGE, find_measure
from promise_seg.assessment.report import result_paths, summarise, write_results
from promise_seg.assessment.strata import SIZE
from promise_seg.assessment.summary import EvaluationSummary, Subject
from promise_seg.assessment.test_log import finish_left_behind, logged_test
from promise_seg.benchmarking.cells import Cell
from promise_seg.benchmarking.data_sets import TestSet
from promise_seg.benchmarking.spec import BARE
from promise_seg.dataset.checks import data_sha256
from promise_seg.errors import SettingsError
from promise_seg.reporting.source_code import code_sha256
from promise_seg.sam.backbone import Backbone
from promise_seg.storage.sealed import read_sealed
from promise_seg.vocabulary import PromptSource, Split
from promise_seg.workflows.noting import Note, no_note


class CellSubject(Subject):
    """Everything that the scores of a cell depend on, except the options of the evaluation.

    Args:
        trained_on: the name of the data set that the model was trained on.
        data_sha256, groups_sha256: hashes of the test rows and of their groups.
        sam_sha256: the hash of the SAM's weights.
        promise_seg_version: the version of promise-seg that computed the scores.
        code_sha256: the hash of the code that computed the scores; ``None`` until then.
    """

    trained_on: str
    data_sha256: str
    groups_sha256: str
    sam_sha256: str
    promise_seg_version: str
    code_sha256: str | None = None


def subject_of_cell(cell: Cell, test: TestSet, sam: Backbone, model_sha256: str) -> CellSubject:
    """Return the subject of the scores of a cell on a test set: everything that they depend on."""
    return CellSubject(
        model=cell.model.name,
        variant=cell.model.variant,
        trained_on=cell.data.name,
        data=test.name,
        data_sha256=data_sha256(test.rows),
        groups_sha256=_groups_sha256(test),
        reading=test.rows[0].reading.model_dump(mode="json"),
        split=str(Split.TEST),
        sam=cell.sam.name,
        sam_sha256=sam.sha256,
        image_size=sam.image_size,
        model_sha256=model_sha256,
        promise_seg_version=__version__,
    )


def cell_of(summary: EvaluationSummary) -> CellSubject:
    """Return the subject of a summary that :func:`write_scores` wrote.

    Raises:
        ValidationError: if another command wrote the summary.
    """
    return CellSubject.model_validate(summary.as_json())


def _groups_sha256(test: TestSet) -> str:
    """Return the hash of the groups of the test rows, on which intervals depend."""
    return hashlib.sha256(json.dumps([row.row.group for row in test.rows]).encode()).hexdigest()


def is_scored(
    folder: Path, how: Assessment, subject: CellSubject, measures: Collection[str] = (), note: Note = no_note
) -> bool:
    """Whether complete scores of exactly this subject exist.

    Scores of an earlier version that lack one of the ``measures`` do not count, nor do damaged scores, which are noted.
    """
    table, means = result_paths(folder, how.prompts, how.protocol)
    if not means.exists():
        return False  # the summary is written last
    try:
        known = read_sealed(means)
        lines = table.read_text(encoding="utf-8").count("\n")
        has = read_scored(table).summary.mean
    except (OSError, ValueError, SettingsError) as error:
        note(f"{means}: these scores were lost or damaged, and are computed again ({error})")
        return False
    if BEST_OF_EACH_IMAGE in has and any(name not in has for name in _of_any_mask(measures)):
        return False
    wanted = subject.as_json() | {"seed": how.seed, "tolerance": str(how.tolerance)}
    if how.prompts == PromptSource.ORACLE:
        wanted["oracle_points"] = how.num_points
    return (
        isinstance(known, dict)
        and all(known.get(name) == value for name, value in wanted.items())
        and lines == known.get("images", -1) + 1
    )


def _of_any_mask(measures: Collection[str]) -> list[str]:
    """Return the measures that are defined for any mask, not only for instance maps."""
    return [one.name for one in map(find_measure, measures) if one is not None and not one.only_for_instances]


def write_scores(
    folder: Path, run: Path, cell: Cell, how: Assessment, results: Sequence[Result], subject: CellSubject
) -> None:
    """Write the files that ``promise evaluate`` writes, and log the look at test rows next to a trained model.

    Args:
        folder: the folder for the scores.
        run: the folder of the model's run.
        cell: the cell that was scored.
        how: the options of the evaluation.
        results: the results of all images.
        subject: see :func:`subject_of_cell`.
    """
    subject = subject.model_copy(update={"code_sha256": code_sha256()})
    summary = summarise(results, how, subject, [SIZE])
    with ExitStack() as logged:
        if cell.model.variant != BARE:
            rows = [result.checked for result in results]
            looks = logged.enter_context(
                logged_test(run, subject.model_sha256, rows, _noted(how, summary.mean["dice"]))
            )
            summary = summary.with_notes(test_looks=looks)
        write_results(folder, results, summary)


def finish_scores(folder: Path, run: Path, how: Assessment, subject: CellSubject) -> None:
    """Complete the log entry of finished scores, in case the process was killed before it was complete."""
    mean = read_scored(result_paths(folder, how.prompts, how.protocol)[0]).summary.mean
    finish_left_behind(run, subject.model_sha256, _noted(how, mean["dice"]))


def _noted(how: Assessment, dice: float) -> dict[str, Any]:
    return {"prompts": str(how.prompts), "dice": dice}
