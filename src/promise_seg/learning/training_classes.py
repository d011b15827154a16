"""Train one network for several classes of label maps: each image passes the network once for all classes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch.utils.data import DataLoader

from promise_seg.checkpoint import BEST_FOLDER, load_checkpoint
from promise_seg.class_sets import class_folder
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.apm_cache import caching_apm_outputs
from promise_seg.learning.answering import MeasuredAnswer, read_answers
from promise_seg.learning.class_networks import ClassNetworks, tie_equal
from promise_seg.learning.class_steps import ClassesSet, ClassesSteps, collate_classes
from promise_seg.learning.measuring_best import is_measured, measure_best
from promise_seg.learning.run_identity import RunIdentity
from promise_seg.learning.run_log import LOG_FILE, keep_epochs
from promise_seg.learning.run_note import SETTINGS_FILE, DataOrigin
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.starting import StartingPoint, StartNote
from promise_seg.learning.training import TrainingRun, keep_choices
from promise_seg.learning.training_images import write_training_images
from promise_seg.learning.training_set import TrainingSet
from promise_seg.learning.validation import validate
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.storage.sealed import write_sealed
from promise_seg.vocabulary import Split


def _together(hashes: Sequence[str]) -> str:
    """Return one hash for several starting points; for a single one, its own hash."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _noted(note: StartNote, start: StartingPoint) -> dict[str, Any]:
    """Return the record of a class's starting point, with the hash of that starting point alone."""
    return note.model_copy(update={"sha256": start.sha256}).model_dump(mode="json")


class ClassesRun(TrainingRun):
    """One run in ``folder`` for several classes; ``class-1`` ... in it hold the same files as runs of single classes.

    Its steps are those of :class:`~promise_seg.learning.class_steps.ClassesSteps`. The best epoch is chosen by the mean
    Dice over the classes on val rows; the choices of masks are made for each class separately.

    Args:
        folder: the folder of the run; it gets a folder for each class.
        rows: rows with label maps, for all classes.
        labels: the classes, in the order of their models.
        sam, store, settings, accelerator, origin: see :class:`~promise_seg.learning.training.TrainingRun`. The settings
            must be those of an APM that several classes can share.
        starts: the model that each class starts from; by default all start from random weights. Weights that the
            classes share are taken from the model of the first class.

    Raises:
        ManifestError: if there are no train or no val rows.
        SettingsError: if a starting point does not fit, or batches cannot be shared equally among the processes.
        CheckpointError: if the folder holds a run with other settings, data, SAM or starting points.
    """

    _steps = ClassesSteps

    def __init__(
        self,
        folder: Path,
        rows: Sequence[CheckedRow],
        labels: Sequence[int],
        sam: Backbone,
        store: FeatureStore,
        settings: TrainSettings,
        accelerator: Accelerator,
        origin: DataOrigin | None = None,
        starts: Mapping[int, StartingPoint] | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self._val_facts: list[dict[str, Any]] = []
        self._starts, self._started = dict(starts or {}), dict[int, StartNote]()
        first = self._starts.get(self.labels[0])
        if first is not None:
            first = replace(first, sha256=_together([self._starts[label].sha256 for label in self.labels]))
        super().__init__(folder, rows, sam, store, settings, accelerator, origin, first)

    @property
    def networks(self) -> tuple[PromiseModel, ...]:
        """The models of the classes in their current state."""
        return self.whole.of_classes if isinstance(self.whole, ClassNetworks) else (self.whole,)

    def folder_of(self, label: int) -> Path:
        """Return the folder of a class, with the same files as a run of one class."""
        return class_folder(self.folder, label)

    def answers_of(self, label: int) -> tuple[MeasuredAnswer, ...]:
        """Return the measured answers of a class's best model to given prompts; see :attr:`TrainingRun.answers`."""
        return read_answers(self.folder_of(label))

    def best_of(self, label: int) -> dict[str, Any]:
        """Return the best epoch, with the Dice and the mask choice of a class in it; see :attr:`TrainingRun.best`."""
        return {"epoch": self.best["epoch"]} | self.best["classes"][str(label)]

    @property
    def notes(self) -> tuple[str, ...]:
        return (*(f"class {label} {one.words}" for label, one in self._started.items()), *self._presence_notes)

    @property
    def _presence_notes(self) -> tuple[str, ...]:
        train = self.rows[Split.TRAIN]
        always = [label for label in self.labels if all(row.of_class(label).foreground_pixels for row in train)]
        if not always:
            return ()
        return (
            f"class {', '.join(map(str, always))}: in every train row, so the model cannot learn to recognise images "
            "without it: it will segment something in every image. Add rows without it if you have such images",
        )

    def best_models(self) -> dict[int, PromiseModel]:
        """Load the best model of each class; they share the same tensors as the trained models do."""
        best = {label: load_checkpoint(self.folder_of(label) / BEST_FOLDER, self.sam) for label in self.labels}
        tie_equal(list(best.values()))
        return best

    def run(self, progress: Progress = silent) -> PromiseModel:
        """Train to the last epoch and return the best model of the first class; see :meth:`TrainingRun.run`."""
        self.finish(progress)
        return load_checkpoint(self.folder_of(self.labels[0]) / BEST_FOLDER, self.sam)

    def _rows_of(self, label: int, split: Split) -> list[CheckedRow]:
        return [row.of_class(label) for row in self.rows[split]]

    def _untrained_model(self, train: Sequence[CheckedRow]) -> PromiseModel:
        return self._model_of(self.labels[0])

    def _model_of(self, label: int) -> PromiseModel:
        return super()._untrained_model(self._rows_of(label, Split.TRAIN))

    def _whole(self) -> ClassNetworks:
        models = {label: self._model_of(label) for label in self.labels[1:]}
        for label, start in self._starts.items():
            if label in models:
                self._started[label] = start.put_into(models[label], self.sam)
        return ClassNetworks([self.model, *models.values()])

    def _loader(self) -> DataLoader:
        sets = [
            TrainingSet(self._rows_of(label, Split.TRAIN), self.sam, self.store, self.settings, model.apm)
            for label, model in zip(self.labels, self.networks, strict=True)
        ]
        return DataLoader(ClassesSet(sets), self.settings.batch_size, sampler=self.draws, collate_fn=collate_classes)

    def _validate(self) -> tuple[dict[str, Any], bool]:
        """Score the val rows of each class and keep its best choices; return facts, and whether the mean over the
        classes is the best so far."""
        with caching_apm_outputs(self.networks):
            scored = [
                validate(model, self._rows_of(label, Split.VAL), self.store, self.settings)
                for label, model in zip(self.labels, self.networks, strict=True)
            ]
        found = broadcast_object_list(scored)
        for model, one in zip(self.networks, found, strict=True):
            keep_choices(model, one.mask_choice, one.map_share)
        dice = float(np.mean([one.dice for one in found]))
        of_classes = {
            str(label): {"dice": one.dice, "mask_choice": one.mask_choice}
            for label, one in zip(self.labels, found, strict=True)
        }
        improved = dice > self.best["dice"]
        if improved:
            self.best = {"epoch": self.epoch, "dice": dice, "classes": of_classes}
        self._val_facts = [one.facts for one in found]
        return {"val_dice": dice}, improved

    def _save(self, facts: dict[str, Any], improved: bool) -> None:
        for number, (label, model) in enumerate(zip(self.labels, self.networks, strict=True)):
            folder = self.folder_of(label)
            self._save_model(model, folder, improved)
            self._add_to_log(folder, facts | (self._val_facts[number] if "val_dice" in facts else {}))
        self._add_to_log(self.folder, facts)

    def _keep_log(self, epochs: int) -> None:
        for folder in (*map(self.folder_of, self.labels), self.folder):
            keep_epochs(folder / LOG_FILE, epochs)

    def _note(self, noted: dict[str, Any]) -> None:
        for label in self.labels:
            rows, start = [row.of_class(label) for row in self._learned_from], self._starts.get(label)
            sha256 = None if start is None else start.sha256
            identity = RunIdentity.of(self.settings, rows, self.sam, sha256, self.store.precision)
            write_training_images(self.folder_of(label), rows, None if start is None else start.images)
            started = self._started.get(label, self.start)
            init = {} if start is None or started is None else {"init": _noted(started, start)}
            write_sealed(self.folder_of(label) / SETTINGS_FILE, identity.as_json() | noted | init)
        super()._note(noted)

    @property
    def _best_place(self) -> str:
        return f"the folder {BEST_FOLDER} of each class in {self.folder}"

    def _measure_best(self, progress: Progress) -> None:
        missing = [label for label in self.labels if not is_measured(self.folder_of(label))]
        best = self.best_models() if missing else {}
        with caching_apm_outputs(tuple(best.values())):
            for label in missing:
                rows = self._rows_of(label, Split.VAL)
                measure_best(best[label], self.folder_of(label), rows, self.store, self.settings, progress)
