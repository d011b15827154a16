"""A resumable training run of a U-Net on the rows of a benchmark, limited by epochs, CPU time or early stopping."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn

from promise_seg.arrays import Array, Float32Array, Uint8Array
from promise_seg.assessment.evaluation import Assessment, Result, score_logits, score_row
from promise_seg.augmentation import AnyView, View
from promise_seg.benchmarking.baseline_objects import Foreground, ObjectRule, choose_object_rule, objects_of
from promise_seg.benchmarking.unet_kinds import PretrainedKind, ScratchKind, UnetKind
from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.errors import CheckpointError, first_line
from promise_seg.inference.encoding import Sample
from promise_seg.inference.masks import Masks, probs_in_image
from promise_seg.inference.rows import DecodedRow
from promise_seg.learning.losses import depths_of_instances
from promise_seg.learning.run_log import LOG_FILE, logged_epochs, rounded
from promise_seg.learning.seeds import torch_seed
from promise_seg.learning.state import load_training_state, save_training_state
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone, state_sha256
from promise_seg.storage.files import write_text
from promise_seg.storage.sealed import sealed_line
from promise_seg.storage.tensor_files import DamagedError, load_tensors, save_tensors
from promise_seg.vocabulary import Fit, MaskChoice, MaskKind, Recipe

BEST_FILE = "best.safetensors"
STATE_FILE = "state.safetensors"


@dataclass(frozen=True)
class UnetSettings:
    """The duration of training, in epochs or CPU seconds, and the fit and recipe of views, as for the other models.

    With ``patience``, training stops after this number of epochs without a gain on ``val``, and ``epochs`` is the upper
    bound. With ``side``, the network is the pretrained U-Net with this input side in pixels; otherwise it is BasicUNet
    at the input size of the SAM.
    """

    seed: int
    epochs: int | None = None
    cpu_seconds: float | None = None
    fit: Fit = Fit.STRETCH
    augmentation: Recipe = Recipe.OWN
    patience: int | None = None
    side: int | None = None


class UnetRun:
    """A resumable training run, which continues after the last complete epoch and keeps the best epoch on ``val``.

    Each epoch uses each image once, in a new view, because no features have to be stored.

    Args:
        folder: the folder for weights, state and log.
        train: training rows.
        val: validation rows, which select the best epoch.
        sam: the SAM; only its input size and device are used.
        settings: the settings of this run.

    Raises:
        CheckpointError: if the folder contains a run on other data or with other settings, or a damaged run.
    """

    def __init__(
        self,
        folder: Path,
        train: Sequence[CheckedRow],
        val: Sequence[CheckedRow],
        sam: Backbone,
        settings: UnetSettings,
    ) -> None:
        self.folder, self.train_rows, self.val, self.settings = folder, train, val, settings
        self.device = sam.device
        self.separates = train[0].reading.masks == MaskKind.INSTANCES
        kind = ScratchKind if settings.side is None else PretrainedKind
        self.kind: UnetKind = kind(settings.side or sam.image_size, settings.augmentation, separates=self.separates)
        torch.manual_seed(torch_seed(settings.seed))
        self.unet = self.kind.start().to(self.device)
        self.optimizer = torch.optim.AdamW(self.kind.groups(self.unet), lr=1e-3, weight_decay=0.01)
        self.epoch, self.cpu_seconds, self.best_dice, self.best_epoch = 0, 0.0, -1.0, 0
        self.cpu_budget = settings.cpu_seconds
        self._identity = {
            "seed": settings.seed,
            "epochs": settings.epochs,
            "fit": str(settings.fit),
            "augmentation": str(settings.augmentation),
            "side": self.kind.side,
            "network": self.kind.identity,
            "data_sha256": data_sha256([*train, *val]),
            "reading": train[0].reading.model_dump(mode="json"),
        }
        self._identity |= {} if settings.patience is None else {"patience": settings.patience}
        self._identity |= {"separates": True} if self.separates else {}
        if (folder / STATE_FILE).exists():
            self._resume()
            logged_epochs(folder / LOG_FILE, self.epoch)  # check that the log is not damaged

    def _resume(self) -> None:
        path = self.folder / STATE_FILE
        try:
            weights, facts = load_training_state(path, [self.optimizer])
            if facts["identity"] != self._identity:
                raise ValueError("it has other settings or data")
            self.unet.load_state_dict(weights)
            self.epoch, self.cpu_seconds, self.best_dice = facts["epoch"], facts["cpu_seconds"], facts["best_dice"]
            self.best_epoch = facts.get("best_epoch", 0)  # runs of earlier versions do not need it
            self.cpu_budget = facts["budget"]  # the budget at the start, so that a finished run stays finished
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: contains a U-Net that cannot be resumed: {first_line(error)}. Choose another -o folder"
            ) from error

    @property
    def finished(self) -> bool:
        """Whether the epochs or the CPU time are used up, or ``patience`` epochs passed without a gain."""
        patience = self.settings.patience
        if patience is not None and self.epoch - self.best_epoch >= patience:
            return True
        return self._share_done(self.epoch, self.cpu_seconds) >= 1

    def _share_done(self, epochs: float, cpu_seconds: float) -> float:
        """Return the share of the training that is done, 0 to 1."""
        if self.settings.epochs is not None:
            return min(1.0, epochs / self.settings.epochs)
        if self.cpu_budget is None:
            raise ValueError("a U-Net needs epochs or cpu_seconds")
        return min(1.0, cpu_seconds / self.cpu_budget)

    def run(self, progress: Progress = silent) -> nn.Module:
        """Train to the end and return the best network by validation, in evaluation mode.

        Progress is reported in thousandths, because the duration may be a number of epochs or a time.
        """
        memory = [] if self.finished else [self._in_memory(row) for row in self.train_rows]
        while not self.finished:
            started = time.process_time()
            loss = self._train_epoch(memory, started, progress)
            dice = self._val_dice()
            self.epoch += 1
            self.cpu_seconds += time.process_time() - started
            if dice > self.best_dice:
                self.best_dice, self.best_epoch = dice, self.epoch
                save_tensors(self.folder / BEST_FILE, self.unet.state_dict())
            self._write(loss, dice, time.process_time() - started)
        progress("training", 1000, 1000, self._words(self.epoch))
        return self.best()

    @torch.no_grad()
    def _val_dice(self) -> float:
        """Return the mean Dice on val rows, at the size of each image, without the steps of the final evaluation."""
        self.unet.eval()
        dice = []
        for row in self.val:
            sample = self._sample(row)
            logits = self.kind.logits(self.unet, self._on_device(sample.image()[None]))[0, 0].cpu()
            dice.append(score_logits(sample, logits).dice)
        return float(np.mean(dice))

    def _words(self, epoch: int) -> str:
        """Format the number of the epoch and the best Dice so far."""
        bound = f" of at most {self.settings.epochs}" if self.settings.patience is not None else ""
        best = f" in epoch {self.best_epoch}" if self.best_epoch else ""
        return f"epoch {epoch}{bound}, best val Dice {max(self.best_dice, 0):.3f}{best}"

    def _write(self, loss: float, dice: float, cpu_seconds: float) -> None:
        path = self.folder / LOG_FILE
        lines = path.read_text(encoding="utf-8").splitlines()[: self.epoch - 1] if path.exists() else []
        facts = {"epoch": self.epoch, "mask": loss, "val_dice": dice, "cpu_seconds": cpu_seconds}
        fresh = sealed_line({name: rounded(value) for name, value in facts.items()})
        write_text(path, "".join(f"{line}\n" for line in lines) + fresh)
        state = {
            "identity": self._identity, "epoch": self.epoch, "cpu_seconds": self.cpu_seconds,
            "best_dice": self.best_dice, "best_epoch": self.best_epoch, "budget": self.cpu_budget,
        }  # fmt: skip
        save_training_state(self.folder / STATE_FILE, [self.optimizer], dict(self.unet.state_dict()), state)

    def best(self) -> nn.Module:
        """Return the network of the best epoch, in evaluation mode.

        Raises:
            CheckpointError: if its weights cannot be read.
        """
        path = self.folder / BEST_FILE
        unet = self.kind.empty()
        try:
            unet.load_state_dict(load_tensors(path).tensors)
        except (OSError, SafetensorError, DamagedError, RuntimeError) as error:
            raise CheckpointError(f"{path}: cannot be read as weights of the U-Net: {first_line(error)}") from error
        return unet.to(self.device).eval()

    def _sample(self, row: CheckedRow) -> Sample:
        return Sample(row, View(), self.kind.side, self.settings.fit)

    def _on_device(self, images: Uint8Array) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(images)).to(self.device)

    def _in_memory(self, row: CheckedRow) -> tuple[Uint8Array, Array]:
        """Return the image (S, S, 3) and the mask or instance map (S, S) of a row in the model frame."""
        sample = self._sample(row)
        return sample.image(), sample.instances() if self.separates else sample.mask()

    def _train_epoch(self, memory: list[tuple[Uint8Array, Array]], started: float, progress: Progress) -> float:
        """Train for one epoch on the images and masks in ``memory``; return the mean loss."""
        self.unet.train()
        rng = np.random.default_rng([self.settings.seed, self.epoch])
        torch.manual_seed(torch_seed(self.settings.seed, self.epoch))
        batches = self.kind.batches(rng.permutation(len(memory)))
        losses, seen = [], 0
        for number, chosen in enumerate(batches):
            images, targets = self._batch(memory, chosen)
            spent = self.cpu_seconds + time.process_time() - started
            done = self._share_done(self.epoch + seen / len(memory), spent)
            progress("training", round(1000 * done), 1000, self._words(self.epoch + 1))
            rates = self.kind.rates(done, self.epoch * len(batches) + number)
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
            loss = self.kind.loss(self.kind.logits(self.unet, images), targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(float(loss.detach()))
            seen += len(chosen)
        return float(np.mean(losses))

    def _batch(self, memory: list[tuple[Uint8Array, Array]], chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return new views of some images, (B, S, S, 3) uint8, and their targets, (B, outputs, S, S) float32."""
        images, targets = [], []
        for i in chosen:
            row = self.train_rows[i]
            view = self.kind.view(row.image_sha256, self.settings.seed, self.epoch + 1)
            images.append(row.reading.without_unused(view.apply_to_image(memory[i][0])))
            targets.append(_targets(memory[i][1], view))
        return self._on_device(np.stack(images)), torch.from_numpy(np.stack(targets)).to(self.device)

    @torch.no_grad()
    def _predictions(self, rows: Sequence[CheckedRow]) -> Iterator[tuple[CheckedRow, torch.Tensor]]:
        """Yield each row with the logits (outputs, h, h) of the best epoch."""
        best = self.best()
        for row in rows:
            yield row, self.kind.predict(best, self._on_device(self._sample(row).image())).cpu()

    def evaluate(self, rows: Sequence[CheckedRow], how: Assessment) -> list[Result]:
        """Evaluate the best U-Net by the requested protocol. The predicted IoU is NaN, because a U-Net predicts none.

        If masks are instance maps, objects are separated by the rule that is best on the val rows.
        """
        rule = None
        if self.separates:
            found = {id(row): self._foreground(row, logits) for row, logits in self._predictions(self.val)}
            rule = choose_object_rule(self.val, lambda row: found[id(row)])
        return [
            score_row(self._decoded(row, logits, rule), MaskChoice.FIRST, how, full=True)
            for row, logits in self._predictions(rows)
        ]

    def _decoded(self, row: CheckedRow, logits: torch.Tensor, rule: ObjectRule | None = None) -> DecodedRow:
        """Return a row with its only mask, whose predicted IoU is NaN."""
        sample, nothing = self._sample(row), torch.full((1, 1), float("nan"))
        masks = Masks(logits[None, :1], nothing, sample.geometry)
        if rule is None:
            return DecodedRow(sample, masks)
        own = partial(objects_of, self._foreground(row, logits), rule)
        return DecodedRow(sample, masks, own_instances=own)

    def _foreground(self, row: CheckedRow, logits: torch.Tensor) -> Foreground:
        probs, depth = (probs_in_image(one, self._sample(row).geometry) for one in logits)
        return Foreground(probs > 0.5, depth)

    def best_sha256(self) -> str:
        """Return the hash of the weights of the best epoch."""
        return state_sha256(dict(self.best().state_dict()))


def _targets(mask: Array, view: AnyView) -> Float32Array:
    """Return the targets of a mask or instance map in a view: the mask and, for an instance map, the depths.

    Shape: (S, S) bool for a mask, uint16 for an instance map, to (outputs, S, S) float32 in [0, 1].
    """
    if mask.dtype == bool:
        return view.apply_to_mask(mask)[None].astype(np.float32)
    labels = view.apply_to_labels(mask)
    return np.stack([(labels > 0).astype(np.float32), depths_of_instances(labels)])
