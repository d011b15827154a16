"""Train the parts of a variant on stored features: epochs, validation, checkpoints and exact resumption."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from pydantic import ValidationError
from safetensors import SafetensorError
from torch.utils.data import DataLoader

from promise_seg.checkpoint import BEST_FOLDER, LAST_FOLDER, load_checkpoint, save_checkpoint
from promise_seg.class_sets import is_class_set
from promise_seg.dataset.checks import CheckedRow
from promise_seg.dataset.tiles import rows_to_learn
from promise_seg.environment import collect_environment
from promise_seg.errors import CheckpointError, ManifestError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, encode_missing
from promise_seg.learning.answering import MeasuredAnswer, read_answers
from promise_seg.learning.class_networks import ClassNetworks
from promise_seg.learning.config_of_run import config_of_run
from promise_seg.learning.epoch_steps import EpochSteps
from promise_seg.learning.measuring_best import is_measured, measure_best
from promise_seg.learning.optimizer import build_optimizer
from promise_seg.learning.run_identity import RunIdentity
from promise_seg.learning.run_log import LOG_FILE, keep_epochs, rounded
from promise_seg.learning.run_note import SETTINGS_FILE, DataOrigin
from promise_seg.learning.seeds import torch_seed
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.sharing import share_batches, shared_loader
from promise_seg.learning.starting import StartingPoint
from promise_seg.learning.state import load_training_state, save_training_state
from promise_seg.learning.training_images import write_training_images
from promise_seg.learning.training_set import EpochDraws, TrainingSet, collate
from promise_seg.learning.validation import validate
from promise_seg.model import PromiseModel
from promise_seg.monitoring.hooks import happened
from promise_seg.progress import Progress, silent
from promise_seg.protocol import training_deviations
from promise_seg.sam.backbone import Backbone
from promise_seg.storage.files import write_text
from promise_seg.storage.locks import Lock
from promise_seg.storage.sealed import sealed_line, write_sealed
from promise_seg.validation import faults_of
from promise_seg.vocabulary import GivenPrompts, MaskChoice, Protocol, Split

STATE_FILE = "state.safetensors"
CURVES_FILE = "curves.png"
_CURVES_INTERVAL = 5
"""The curves are drawn after every n-th epoch, and after the last."""


class TrainingRun:
    """One run in ``folder``: a new run, or one that resumes after its last finished epoch.

    Args:
        folder: folder for checkpoints, log, curves and state.
        rows: checked rows, of which those of ``train`` and ``val`` are used; large images may be divided into tiles.
        sam: the frozen SAM; it is not changed.
        store: the feature store.
        settings: the settings of the training.
        accelerator: device, precision and processes. Each of several processes learns from its share of every batch,
            so the same settings give the same training for any number of processes; the main one writes.
        origin: the origin of the rows, for the record; it is not part of the identity of the run.
        start: the model that the run starts from; by default from random weights.

    Raises:
        ManifestError: if there are no train or no val rows, or all train masks are empty.
        SettingsError: if the starting point does not fit, or batches cannot be shared equally among the processes.
        CheckpointError: if the folder holds a run with other settings, data, SAM or starting point.
    """

    lock: Lock | None = None
    """The lock of the folder; if another process has taken it over, nothing more is written."""
    _steps: type[EpochSteps] = EpochSteps

    def __init__(
        self,
        folder: Path,
        rows: Sequence[CheckedRow],
        sam: Backbone,
        store: FeatureStore,
        settings: TrainSettings,
        accelerator: Accelerator,
        origin: DataOrigin | None = None,
        start: StartingPoint | None = None,
    ) -> None:
        self.folder, self.store, self.settings = folder, store, settings
        self.sam, self.accelerator = sam, accelerator
        rows = rows_to_learn(rows)
        self._separates = bool(rows) and settings.separates(rows[0].reading.masks)
        self.rows = {split: [row for row in rows if row.row.split == split] for split in Split}
        _check_rows(self.rows)
        torch.manual_seed(torch_seed(settings.seed))
        train = self.rows[Split.TRAIN]
        self.model = self._untrained_model(train)
        self.whole = self._whole()
        self.start = None if start is None else start.put_into(self.model, sam)
        self._start_images = None if start is None else start.images
        optimizer = build_optimizer(self.whole, settings)
        self.training_set = TrainingSet(train, self.model.sam, store, settings, self.model.apm)
        self.draws = EpochDraws.of(settings, len(self.training_set))
        share_batches(accelerator, settings, take_turns=isinstance(self.whole, ClassNetworks))
        wrapped, self.optimizer = accelerator.prepare(self.whole, optimizer)
        loader, side = shared_loader(self._loader(), accelerator), self.model.sam.image_size
        self.steps = self._steps(wrapped, self.optimizer, loader, self.draws, settings, accelerator, side)
        self._origin = ({} if origin is None else asdict(origin)) | {"mask_threshold": rows[0].reading.mask_threshold}
        self.epoch = 0
        self.best: dict[str, Any] = {"epoch": -1, "dice": -1.0, "mask_choice": "score"}
        self._identity = RunIdentity.of(
            settings, self._learned_from, sam, start.sha256 if start else None, store.precision
        )
        if (folder / STATE_FILE).exists():
            self._resume()
        elif accelerator.is_main_process:
            self._keep_log(0)

    def _untrained_model(self, train: Sequence[CheckedRow]) -> PromiseModel:
        """Return an untrained model for train rows."""
        model = PromiseModel(config_of_run(self.settings, train, self.sam, separates=self._separates), self.sam)
        if model.apm is not None:
            model.apm.load_pretrained_weights()
        return model

    def _whole(self) -> PromiseModel | ClassNetworks:
        """Return the module that holds everything trained: the model itself."""
        return self.model

    @property
    def networks(self) -> tuple[PromiseModel, ...]:
        """The models in their current state, one of each class."""
        return (self.model,)

    def _loader(self) -> DataLoader:
        return DataLoader(self.training_set, self.settings.batch_size, sampler=self.draws, collate_fn=collate)

    @property
    def _learned_from(self) -> list[CheckedRow]:
        return [*self.rows[Split.TRAIN], *self.rows[Split.VAL]]

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user before training, a line each."""
        if self.model.apm is None or self.settings.protocol == Protocol.REFERENCE:
            return ()
        if any(row.foreground_pixels == 0 for row in self.rows[Split.TRAIN]):
            return ()
        return (
            "every train row has an object, so the model cannot learn to recognise images without one: it will "
            "segment something in every image. Add rows whose mask is empty if you have such images",
        )

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.settings.epochs

    def _resume(self) -> None:
        """Restore the state after the last finished epoch.

        Raises:
            CheckpointError: if it is damaged, or of a run with another identity.
        """
        path = self.folder / STATE_FILE
        try:
            weights, facts = load_training_state(path, [self.optimizer], self._check_identity)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{path}: holds a run that cannot be continued with these settings: {error}. Choose another -o folder."
            ) from error
        self.whole.load_trainable_state(weights, str(path))
        self.epoch, self.best = facts["epoch"], facts["best"]
        for model, chosen in zip(self.networks, facts.get("choices", ()), strict=False):  # earlier versions have none
            keep_choices(model, MaskChoice(chosen["mask_choice"]), chosen["map_share"])
        if self.accelerator.scaler is not None and "scaler" in facts:
            self.accelerator.scaler.load_state_dict(facts["scaler"])
        if self.accelerator.is_main_process:
            self._keep_log(self.epoch)

    def _check_identity(self, facts: dict[str, Any]) -> None:
        """Refuse to resume a run of other settings or data, or of another version."""
        path = self.folder / STATE_FILE
        try:
            changed = self._identity.changes_since(RunIdentity.model_validate(facts["identity"]))
        except ValidationError as error:
            raise CheckpointError(
                f"{path}: holds a run of another version of promise-seg, which this one cannot continue: "
                f"{faults_of(error, RunIdentity)}. Choose another -o folder."
            ) from error
        if changed:
            raise CheckpointError(
                f"{path}: holds a run that differs in {', '.join(changed)}. Give the same settings and data again to "
                f"resume it, or choose another -o folder. There, --init {self._init_name} continues from its best model"
            )

    @property
    def _init_name(self) -> Path:
        """The folder to name with ``--init`` to start from this run: for one of a set of classes, that of the set."""
        return self.folder.parent if is_class_set(self.folder.parent) else self.folder

    def _keep_log(self, epochs: int) -> None:
        """Drop log lines of an epoch that was interrupted after it was logged, before the state was written.

        Raises:
            CheckpointError: if the log is damaged.
        """
        keep_epochs(self.folder / LOG_FILE, epochs)

    @property
    def samples(self) -> list[Sample]:
        """All views of all rows, which are worth keeping in the feature store."""
        val = [Sample.of(row, self.model.sam, self.settings.fit) for row in self.rows[Split.VAL]]
        return val + self.training_set.samples(self.settings.views)

    def encode(self, progress: Progress = silent) -> int:
        """Fill the feature store for all rows and views; return the number of views that all processes encoded."""
        mine = self.samples[self.accelerator.process_index :: self.accelerator.num_processes]
        return sum(gather_object([encode_missing(mine, self.model.sam, self.store, progress, self.model.stages_read)]))

    def train_epoch(self, progress: Progress = silent) -> dict[str, float]:
        """Train on all train rows once; return mean losses and the last learning rate."""
        return self.steps.train(self.epoch, progress, self._best_in_words)

    @property
    def _best_in_words(self) -> str:
        """The best score so far, for the progress; empty if there is none."""
        return f"best val Dice {self.best['dice']:.3f}" if self.best["epoch"] >= 0 else ""

    def run(self, progress: Progress = silent) -> PromiseModel:
        """Train to the last epoch and return the best model by validation, in evaluation mode.

        It is read from the checkpoint ``best``, even if the run was finished before; ``self.model`` remains the model
        of the last epoch.

        Raises:
            SettingsError: if training diverged.
            CheckpointError: if ``best`` of a finished run is damaged or missing.
        """
        self.finish(progress)
        return load_checkpoint(self.folder / BEST_FOLDER, self.sam)

    def finish(self, progress: Progress = silent) -> None:
        """Train to the last epoch, and measure what the best model does; see :meth:`run`."""
        if self.accelerator.is_main_process and not (self.finished and (self.folder / SETTINGS_FILE).exists()):
            environment = collect_environment(self.accelerator.device).model_dump(mode="json")
            deviations = training_deviations(self.settings.protocol)
            noted: dict[str, Any] = {"protocol_deviations": deviations, "environment": environment}
            if self.start is not None:
                noted["init"] = self.start.model_dump(mode="json")
            self._note(self._origin | noted)
        while not self.finished:
            self._do_epoch(progress)
        self.whole.eval()
        if self.accelerator.is_main_process and self.settings.given_prompts != GivenPrompts.POINTS:
            self._measure_best(progress)
        self.accelerator.wait_for_everyone()

    def _do_epoch(self, progress: Progress) -> None:
        """Train and, where it is due, validate one epoch; write all about it."""
        started, cpu_started = time.monotonic(), time.process_time()
        facts: dict[str, Any] = {"epoch": self.epoch + 1} | self.train_epoch(progress)
        self._check_weights()
        improved = False
        if self.epoch + 1 == self.settings.epochs or (self.epoch + 1) % self.settings.val_interval == 0:
            scores, improved = self._validate()
            facts |= scores
        self.epoch += 1
        if self.finished:  # no later step shows the last score
            self.steps.tell_end(progress, self._best_in_words)
        if self.accelerator.is_main_process:
            spent = {"seconds": time.monotonic() - started, "cpu_seconds": time.process_time() - cpu_started}
            facts |= {name: round(value, 2) for name, value in spent.items()}
            self._write(facts, improved)
            label = self.rows[Split.TRAIN][0].reading.label
            happened("epoch", work="train", **({} if label is None else {"class": label}), **facts)
        self.accelerator.wait_for_everyone()

    def _note(self, noted: dict[str, Any]) -> None:
        """Write the identity of the run and its training images next to it."""
        write_training_images(self.folder, self._learned_from, self._start_images)
        write_sealed(self.folder / SETTINGS_FILE, self._identity.as_json() | noted)

    def _validate(self) -> tuple[dict[str, Any], bool]:
        """Score the val rows and keep the best choices; return facts, and whether this epoch is the best so far."""
        found = validate(self.model, self.rows[Split.VAL], self.store, self.settings)
        (found,) = broadcast_object_list([found])  # the processes must agree on what is best
        keep_choices(self.model, found.mask_choice, found.map_share)
        improved = found.dice > self.best["dice"]
        if improved:
            self.best = {"epoch": self.epoch, "dice": found.dice, "mask_choice": found.mask_choice}
        return found.facts, improved

    @property
    def answers(self) -> tuple[MeasuredAnswer, ...]:
        """The best model's measured answers to given prompts; empty before the end of training, and for older runs."""
        return read_answers(self.folder)

    def _measure_best(self, progress: Progress) -> None:
        """Measure the answers of the best model to given prompts, unless that was done before."""
        if not is_measured(self.folder):
            model, rows = load_checkpoint(self.folder / BEST_FOLDER, self.sam), self.rows[Split.VAL]
            measure_best(model, self.folder, rows, self.store, self.settings, progress)

    @property
    def _best_place(self) -> str:
        """The place of the best model, in words for messages."""
        return str(self.folder / BEST_FOLDER)

    def _check_weights(self) -> None:
        """Stop a diverged training before anything of this epoch is saved, as all later weights would be NaN too."""
        if all(bool(value.isfinite().all()) for value in self.whole.trainable_state().values()):
            return
        kept = "Nothing is kept of it"
        if self.best["epoch"] >= 0:
            best = f"val Dice {self.best['dice']:.3f}, epoch {self.best['epoch'] + 1}"
            kept = f"The best model before it ({best}) is in {self._best_place}"
        raise SettingsError(
            f"{self.folder}: training diverged in epoch {self.epoch + 1}: its weights are NaN or infinite. {kept}. "
            f"Train into another folder with --learning-rate below {self.settings.learning_rate:g}"
        )

    def _write(self, facts: dict[str, Any], improved: bool) -> None:
        """Save everything about a finished epoch; the state comes last, as it marks the epoch as finished."""
        if self.lock is not None:
            self.lock.check()
        self._save(facts, improved)
        choices = [{"mask_choice": m.config.mask_choice, "map_share": m.config.map_share} for m in self.networks]
        state = {"identity": self._identity.as_json(), "epoch": self.epoch, "best": self.best, "choices": choices}
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        save_training_state(self.folder / STATE_FILE, [self.optimizer], self.whole.trainable_state(), state)

    def _save(self, facts: dict[str, Any], improved: bool) -> None:
        """Save the model of an epoch, and its line of the log."""
        self._save_model(self.model, self.folder, improved)
        self._add_to_log(self.folder, facts)

    def _save_model(self, model: PromiseModel, folder: Path, improved: bool) -> None:
        """Save the last model of a folder and, if it is the best so far, also as that."""
        if improved:
            save_checkpoint(model, folder / BEST_FOLDER)
        save_checkpoint(model, folder / LAST_FOLDER)

    def _add_to_log(self, folder: Path, facts: dict[str, Any]) -> None:
        """Add a line to the log of a folder, and redraw the curves every few epochs."""
        from promise_seg.learning.curves import draw_curves

        path = folder / LOG_FILE
        log = path.read_text(encoding="utf-8") if path.exists() else ""
        line = {name: rounded(value) for name, value in facts.items()}
        write_text(path, log + sealed_line(line))
        if self.finished or self.epoch % _CURVES_INTERVAL == 0:
            draw_curves(path, folder / CURVES_FILE)


def _check_rows(rows: Mapping[Split, Sequence[CheckedRow]]) -> None:
    """Check that there is something to learn from, and something to choose on.

    Raises:
        ManifestError: if there are no train or no val rows, or all train masks are empty.
    """
    for split in (Split.TRAIN, Split.VAL):
        if not rows[split]:
            raise ManifestError(
                f"no {split} rows; training needs at least one train and one val row. promise data split assigns rows "
                "to them"
            )
    if not any(row.foreground_pixels for row in rows[Split.TRAIN]):
        raise ManifestError("the masks of all train rows are empty; there is nothing to learn from")


def keep_choices(model: PromiseModel, mask_choice: MaskChoice, map_share: float) -> None:
    """Keep in a model's config what was chosen on validation rows: one of SAM's masks, and the map's share in it."""
    model.config = model.config.model_copy(update={"mask_choice": mask_choice, "map_share": map_share})
