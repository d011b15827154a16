"""The run card: everything needed to identify a result and to reproduce it."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.environment import Environment, collect_environment
from promise_seg.model import ModelConfig, PromiseModel
from promise_seg.reporting.commands import report_commands, train_command
from promise_seg.reporting.options import ReportOptions
from promise_seg.reporting.run_files import RunFiles
from promise_seg.reporting.source_code import code_sha256, git_commit
from promise_seg.sam.known import KNOWN_SAMS
from promise_seg.sam.loading import NANO


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Hashes(_Part):
    """The SHA-256 hashes of everything that a result depends on.

    Args:
        model: the hash of the model's config and of all trained parameters.
        sam: the hash of the published weights of the SAM.
        code: the hash of the package's Python files, by name and content.
        data: the hash of the reported rows: images, masks and splits.
        training_data: the hash of the train and val rows, as recorded by training.
        git_commit: the commit of the code, if it is in git, with ``-dirty`` appended if files were changed since.
    """

    model: str
    sam: str
    code: str
    data: str
    training_data: str | None
    git_commit: str | None


class Training(_Part):
    """The record of training. ``hours`` is the total duration of the epochs; older runs have no environment."""

    settings: dict[str, Any]
    epochs: int
    hours: float | None
    environment: Environment | None


class RunCard(_Part):
    """The run card: what was measured, with what, and how to reproduce it.

    Args:
        model: the model, as the user named it.
        variant: the variant of the model, which tells its trained parts.
        sam: the SAM, as the user named it.
        image_size: the side of the encoder's input, in pixels.
        mask_choice: the choice among SAM's masks.
        postprocessing: a description of the post-processing.
        trained_parameters: the number of trained parameters.
        hashes: the hashes of everything that the result depends on.
        seeds: the seeds of training, if known, and of this report.
        environment: the environment of this report.
        training: the record of training; ``None`` for a bare SAM, or a checkpoint without its ``settings.json``.
        licences: the licences of this package and of the weights of the SAM.
        commands: the command lines that reproduce the result; without ``promise train`` if its options are unknown.
    """

    model: str
    variant: str
    sam: str
    image_size: int
    mask_choice: str
    postprocessing: str
    trained_parameters: int
    hashes: Hashes
    seeds: dict[str, int]
    environment: Environment
    training: Training | None
    licences: dict[str, str]
    commands: tuple[str, ...]


def make_card(model: PromiseModel, rows: Sequence[CheckedRow], options: ReportOptions, run: RunFiles) -> RunCard:
    """Return the run card of a model and the rows that it was scored on."""
    training = _training(run)
    hashes = Hashes(
        model=model.sha256(),
        sam=model.config.sam_sha256,
        code=code_sha256(),
        data=data_sha256(rows),
        training_data=None if run.note is None else run.note.data_sha256,
        git_commit=git_commit(),
    )
    commands = report_commands(options)
    if run.note is not None and run.note.settings is not None and run.folder is not None:
        at = model.sam.image_size if model.sam.image_size != model.sam.trained_at else None
        commands = [train_command(run.note, run.note.settings, run.folder, model.config, image_size=at), *commands]
    return RunCard(
        model=options.run,
        variant=str(model.config.variant),
        sam=model.config.sam,
        image_size=model.config.image_size,
        mask_choice=model.config.mask_choice,
        postprocessing=_postprocessing(model.config),
        trained_parameters=sum(parameter.numel() for parameter in model.trainable_parameters().values()),
        hashes=hashes,
        seeds=({} if training is None else {"training": training.settings["seed"]}) | {"report": options.seed},
        environment=collect_environment(model.device),
        training=training,
        licences={"promise-seg": "Apache-2.0", "weights of the SAM": licence_of(model.config.sam)},
        commands=tuple(commands),
    )


def licence_of(sam: str) -> str:
    """Return the licence of the weights of a SAM, given its name; unknown for SAMs that are not known by name."""
    if sam == NANO:
        return "Apache-2.0, as promise-seg"
    if sam in KNOWN_SAMS:
        return f"{KNOWN_SAMS[sam].licence}; see {KNOWN_SAMS[sam].source}"
    return "unknown: see its authors"


def _training(run: RunFiles) -> Training | None:
    if run.note is None or run.note.settings is None:
        return None
    return Training(
        settings=run.note.settings.model_dump(mode="json"),
        epochs=len(run.log),
        hours=run.hours,
        environment=run.note.environment,
    )


def _postprocessing(config: ModelConfig) -> str:
    """Describe the post-processing of masks and of volumes."""
    rule = config.volumes
    return config.postprocessing.words + (f"; volumes: {rule.words}" if rule is not None else "")
