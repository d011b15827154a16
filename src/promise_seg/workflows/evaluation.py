"""Score models against the ground truth: images, means, trust scores, looks at test rows, and files with results."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from promise_seg.arguments import checks_arguments, yes_or_no
from promise_seg.assessment.evaluation import Assessment
from promise_seg.assessment.evaluation import evaluate as score
from promise_seg.assessment.measuring import Unit, parse_tolerance, spacing_for
from promise_seg.assessment.report import subject_of, summarise, write_results
from promise_seg.assessment.strata import SIZE, columns_to_group_by
from promise_seg.assessment.volume_report import summarise_volumes
from promise_seg.assessment.volumes import VolumeScorer
from promise_seg.dataset.checks import CheckedRow
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.tiles import is_divided
from promise_seg.errors import ManifestError, PromiseError, SettingsError
from promise_seg.features.remote import open_store
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import encoding_note
from promise_seg.inference.prompting import USUAL_POINTS, check_prompts
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, renamed, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.storage.object_stores import is_address
from promise_seg.trust.trust_model import (
    FLATTERING,
    UNCOMBINED,
    UNGATED,
    TrustModel,
    add_trust,
    is_ungated,
    with_trust,
)
from promise_seg.vocabulary import MaskChoice, PromptSource, Protocol, Slices, SplitChoice, StorePrecision
from promise_seg.volumes.whole_slices import asks_to_join
from promise_seg.workflows.by_class import ByClass
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.evaluation_result import Evaluation
from promise_seg.workflows.first_checks import check_before_scoring
from promise_seg.workflows.model_ref import ModelPart
from promise_seg.workflows.models import ModelLike, OpenModels, label_of, open_models
from promise_seg.workflows.noting import logged_look, seen_images
from promise_seg.workflows.outputs import check_output, error_of_writing

_MAY_STILL_BE_READ = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})
"""Errors of writing to a store that may nevertheless hold all features that are needed."""
_NO_SLICES = "had no effect, because none of the images is a slice of a volume"


@checks_arguments("data", "output", "image_size", "seed", "store", "progress")
def evaluate(
    model: ModelLike | OpenModels,
    data: Dataset | str | Path,
    *,
    output: str | Path | None = None,
    split: str = SplitChoice.TEST,
    prompts: str = PromptSource.APM,
    points: int | None = None,
    mask: str | None = None,
    slices: str = Slices.AUTO,
    protocol: str = Protocol.OWN,
    sam: Backbone | str | None = None,
    image_size: int | None = None,
    seed: int = 0,
    tolerance: str = "2px",
    by: str | Sequence[str] = (),
    device: str | torch.device = "auto",
    encoder_precision: str | None = None,
    store: str | Path | FeatureStore | None = None,
    always_segment: bool = False,
    progress: Progress = silent,
) -> Evaluation | ByClass[Evaluation]:
    """Score a model against the ground truth, at each image's original size.

    >>> import promise_seg
    >>> result = promise_seg.evaluate("runs/polyp", "polyps.csv", split="test", prompts="apm")
    >>> 0 <= result.mean["dice"] <= 1
    True

    Test rows that are scored are logged in the model's folder.

    Args:
        model: a model, or the name of one; a set with a model for each class gives an evaluation for each.
        data: a data set, or its manifest, whose files are then read as they were in training.
        output: folder for ``scores_*.csv``, ``summary_*.json`` and, for slices, ``volumes_*.csv``; by default nothing
            is written.
        split: the rows to score: ``test``, ``val``, ``train`` or ``all``.
        prompts: the source of the prompts: ``apm`` (the model's own), ``oracle``, ``box`` or ``none``.
        points: the number of oracle points, half of them background; by default 16. Only with ``oracle``.
        mask: which of SAM's masks counts: ``0``, ``1``, ``2`` or ``score``; by default as chosen in training.
        slices: how the slices of a volume are combined, with the model's own prompts: ``each``, ``blend``, ``agree`` or
            ``auto``, as chosen on validation rows by :func:`tune_postprocess`; without such a choice ``each``.
        protocol: ``own``, or ``reference``, the published procedure.
        sam: the model's SAM, if it is no longer where training found it; for ``bare``, the SAM to use.
        image_size: side of the input of a bare SAM, in pixels.
        seed: seed of oracle points and intervals.
        tolerance: tolerance of the surface Dice, which also sets the unit of distances: ``2px`` or ``1.5mm``.
        by: one or several columns of the manifest; means are given for each of their values, next to those by size.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        encoder_precision: the precision of SAM's encoder: ``fp32``, ``bf16``, ``fp16`` (on GPUs) or ``int8`` (on CPUs);
            by default that of training.
        store: the feature store, or its folder; by default the user's.
        always_segment: also segment images that the model judges to be empty; by default their masks are empty.
        progress: called for each image.

    Raises:
        SettingsError: if an option is invalid, or the model cannot make such prompts.
        ManifestError: if there are no such rows, or files of them cannot be read.
        CheckpointError: if the model, or a file next to it, cannot be read.
    """
    source, together = chosen(PromptSource, prompts, "--prompts"), chosen(Slices, slices, "--slices")
    assessment = Assessment(
        prompts=source, num_points=USUAL_POINTS if points is None else points, seed=seed,
        mask_choice=None if mask is None else chosen(MaskChoice, mask, "--mask"), slices=together,
        protocol=chosen(Protocol, protocol, "--protocol"), tolerance=parse_tolerance(tolerance),
    )  # fmt: skip
    check_points_and_slices(source, points, together, assessment.protocol)
    kept = as_store(store)
    check_before_scoring(
        model, data, split=split, output=output, device=device, encoder_precision=encoder_precision, prompts=[source],
        by=by,
    )  # fmt: skip
    opened = open_models(
        model, sam=sam, device=device, image_size=image_size, encoder_precision=encoder_precision, protocol=protocol,
        always_segment=yes_or_no(always_segment, "always_segment"),
    )  # fmt: skip
    for _, one in opened:
        check_prompts(one, assessment.prompts)
    rows = rows_to_score(opened, data, split, progress)
    columns = columns_of_rows(by, rows, assessment.tolerance.unit)
    work = _Work(assessment, kept, [SIZE, *columns], str(data_name(data)), str(split), progress)
    return opened.each(
        lambda part, one, folder: work.evaluate(part, one, rows_of_part(rows, part, one), folder), output
    )


def columns_of_rows(by: str | Sequence[str], rows: Sequence[CheckedRow], unit: Unit) -> list[str]:
    """Return the columns to group means by, after checking that every row can be measured in the unit.

    Raises:
        SettingsError: if the manifest has no such column, or the pixel size of an image is not known.
    """
    columns = columns_to_group_by(by, [row.row for row in rows])
    for row in rows:
        spacing_for(row, unit)
    return columns


def check_points_and_slices(source: PromptSource, points: int | None, slices: Slices, protocol: Protocol) -> None:
    """Refuse options that are meaningless for the source of the prompts or the protocol.

    Raises:
        SettingsError: naming the first of them.
    """
    if points is not None and source != PromptSource.ORACLE:
        raise SettingsError(
            f"--points {points}: is the number of oracle points, and --prompts {source} has none. Leave it out, or "
            f"give --prompts {PromptSource.ORACLE}"
        )
    if asks_to_join(slices) and source != PromptSource.APM:
        raise SettingsError(
            f"--slices {slices}: is for the model's own prompts; with --prompts {source}, each slice is scored by "
            f"itself. Leave it out, or give --prompts {PromptSource.APM}"
        )
    if asks_to_join(slices) and protocol != Protocol.OWN:
        raise SettingsError(
            f"--slices {slices}: is for our own protocol; with --protocol {protocol}, each slice is scored by itself. "
            f"Leave it out, or give --protocol {Protocol.OWN}"
        )


@dataclass(frozen=True)
class _Work:
    """Settings that are the same for all models of a set."""

    assessment: Assessment
    store: FeatureStore
    by: list[str]
    data: str
    split: str
    progress: Progress

    def evaluate(
        self, part: ModelPart, model: PromiseModel, rows: Sequence[CheckedRow], output: Path | None
    ) -> Evaluation:
        """Score one model and its trust scores, log looks at test rows, and write the results."""
        if output is not None:
            check_output(output)
        found = score_and_judge(
            part, model, rows, self.assessment, data=self.data, split=self.split, by=self.by, store=self.store,
            progress=self.progress,
        )  # fmt: skip
        summary, notes = found.summary, [*filter(None, [encoding_note(model)]), *found.notes]
        if part.label is not None and not any(row.foreground_pixels for row in rows):
            notes.insert(0, f"class {part.label}: no {self.split} mask holds it; only false alarms are scored")
        facts = {name: getattr(summary, name) for name in ("prompts", "protocol", "postprocessing", "mask_choice")}
        facts |= {"dice": summary.mean["dice"], "mask_given": self.assessment.mask_choice is not None}
        facts |= {"always_segment": True} if summary.always_segment else {}
        seen, of_seen = seen_images(part, rows)
        with logged_look(part, model, rows, facts) as (looks, of_looks):
            summary = summary.with_notes(test_looks=looks, seen_in_training=seen)
            files = () if output is None else write_results(output, found.results, summary, found.volumes)
        return replace(found, summary=summary, notes=(*notes, *of_looks, *of_seen), files=files)


def score_and_judge(
    part: ModelPart,
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    assessment: Assessment,
    *,
    data: str,
    split: str,
    by: Sequence[str] = (SIZE,),
    store: FeatureStore | None = None,
    progress: Progress = silent,
    stage: str = "evaluating",
) -> Evaluation:
    """Score one model on some rows, with its trust scores if it is calibrated; nothing is logged or written.

    Args:
        part: the place of the model.
        model: the loaded model.
        rows: the rows to score.
        assessment: how to score.
        data: the manifest, as the user named it.
        split: the name of the split of the rows, for the report.
        by: the columns to group the images by.
        store: the feature store.
        progress: called for each image.
        stage: the name of this stage in the progress.

    Raises:
        SettingsError: if the manifest lacks a column.
        CheckpointError: if the calibration is damaged.
    """
    trust, notes = _find_trust(part, model, rows, assessment)
    scorer = VolumeScorer(rows, assessment.tolerance)
    of_volumes: list[str] = []
    results = score(
        model, rows, assessment, store=store, progress=renamed(progress, stage), keep=scorer.add, note=of_volumes.append
    )
    subject = subject_of(model, part.name, assessment, rows[0].reading, data=data, split=split)
    summary, volumes = summarise(results, assessment, subject, by), scorer.scores()
    if volumes:
        summary = summary.with_volumes(summarise_volumes(volumes, scorer.tolerance, assessment.seed))
    if assessment.protocol == Protocol.OWN:
        notes = (*notes, *scorer.notes(), *of_volumes)
        if asks_to_join(assessment.slices) and not of_volumes and all(one.joined is None for one in results):
            notes = (*notes, f"--slices {assessment.slices}: {_NO_SLICES}")
    if trust is not None:
        results, quality = add_trust(model, trust, results, store, progress)
        summary = with_trust(summary, trust, quality, results)
        if trust.why_constant:
            notes = (*notes, f"all images have the same trust score: in its calibration, {trust.why_constant}")
        if summary.trust_calibrated_on_these_rows:
            notes = (*notes, FLATTERING)
        if summary.trust_of_uncombined_slices:
            notes = (*notes, UNCOMBINED)
        if is_ungated(model):
            notes = (*notes, UNGATED)
    return Evaluation(part.name, tuple(results), summary, notes, volumes=volumes)


def _find_trust(
    part: ModelPart, model: PromiseModel, rows: Sequence[CheckedRow], assessment: Assessment
) -> tuple[TrustModel | None, tuple[str, ...]]:
    """Return the calibration of a model, if its own masks are scored by our protocol, or a note on why there is none.

    Raises:
        CheckpointError: if its file is damaged.
    """
    if assessment.prompts != PromptSource.APM:
        return None, ()
    trust, note = part.find_trust(model)
    if trust is not None and assessment.protocol != Protocol.OWN:
        trust, note = None, "no trust scores: they are of masks by our own protocol"
    elif trust is not None and assessment.choice_for(model) != model.config.mask_choice:
        trust, note = None, f"no trust scores: they are of the mask {model.config.mask_choice} that the model chose"
    elif trust is not None and any(is_divided(row) for row in rows):
        trust, note = None, "no trust scores: they are calibrated for single tiles, but some images have several"
    return trust, (note,) if note else ()


def rows_to_score(opened: OpenModels, data: Dataset | str | Path, split: str, progress: Progress = silent) -> Dataset:
    """Return the rows of a split that models are scored on; a manifest is read as in training.

    Raises:
        SettingsError: if there is no such split, or the classes of models and rows do not match.
        ManifestError: if there are no such rows, or files of them cannot be read.
    """
    split = chosen(SplitChoice, split, "--split")
    if not isinstance(data, Dataset):
        data = Dataset.from_csv(data, split=split, like=opened.reading, progress=progress)
    data.options.check_overlaps(data.reading)
    rows = replace(data, rows=data.of_split(split))
    if not rows:
        raise ManifestError(f"{data_name(data)}: no {split} rows; choose another --split")
    if opened.ref.is_class_set and not rows.is_of_several_classes:
        raise SettingsError(
            f"{opened.ref.name}: has a model for each class; leave --class and --instances out, or name one of them"
        )
    if rows.is_of_several_classes and not opened.ref.is_class_set:
        label = label_of(opened.models[0])
        if label is None:
            raise SettingsError("--class all: name one class; the output of promise train --class all needs no --class")
        return rows.of_class(label)
    return rows


def rows_of_part(rows: Dataset, part: ModelPart, model: PromiseModel) -> Dataset:
    """Return the rows for one model of a set, with the masks of its class; otherwise the rows unchanged."""
    label = label_of(model)
    return rows if part.label is None or label is None else rows.of_class(label)


def data_name(data: Dataset | str | Path) -> str:
    """Return the user's name for a data set."""
    if isinstance(data, Dataset):
        return "rows" if data.path is None else str(data.path)
    return str(data)


def as_store(store: str | Path | FeatureStore | None, precision: str = StorePrecision.FP16) -> FeatureStore:
    """Return the feature store in a folder, or by default the user's; a store that is passed in keeps its precision.

    Raises:
        SettingsError: if there is no such precision, or an address is invalid.
        PromiseError: if there cannot be a store in this place. Stores that can only be read are possible.
    """
    if isinstance(store, FeatureStore):
        return store
    kept = open_store(store, chosen(StorePrecision, precision, "--store-precision"))
    error = None if is_address(kept.place) else error_of_writing(kept.folder)
    if error is not None and error.errno not in _MAY_STILL_BE_READ:
        raise PromiseError(
            f"{kept.place}: cannot hold features: {error.strerror or error}. Choose another --store"
        ) from error
    return kept
