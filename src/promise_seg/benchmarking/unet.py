"""The baseline: a U-Net from scratch on the same rows, at the same input size, with the same loss and views."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import BasicUNet
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from promise_seg.assessment.evaluation import Assessment, Result, score_logits, score_row
from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.errors import CheckpointError
from promise_seg.files import write_text, write_whole
from promise_seg.inference.encoding import Sample
from promise_seg.inference.masks import Masks
from promise_seg.inference.rows import DecodedRow
from promise_seg.learning.losses import mask_loss
from promise_seg.learning.schedule import cosine_rate, set_rate
from promise_seg.learning.state import load_training_state, save_training_state
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone, state_sha256
from promise_seg.sam.normalisation import normalise
from promise_seg.vocabulary import Fit, MaskChoice, Recipe

FEATURES = (32, 32, 64, 128, 256, 32)
BATCH = 16
LEARNING_RATE = 1e-3
BEST_FILE = "best.safetensors"
STATE_FILE = "state.safetensors"
LOG_FILE = "log.jsonl"


def build_unet() -> nn.Module:
    """Build MONAI's BasicUNet, 1.98 million parameters: (B, 3, S, S) normalised to logits (B, 1, S, S)."""
    return BasicUNet(spatial_dims=2, in_channels=3, out_channels=1, features=FEATURES)


@dataclass(frozen=True)
class UnetSettings:
    """The duration of training, in epochs or CPU seconds, and the fit and recipe of views, as for the other models."""

    seed: int
    epochs: int | None = None
    cpu_seconds: float | None = None
    fit: Fit = Fit.STRETCH
    augmentation: Recipe = Recipe.OWN


class UnetRun:
    """A resumable training run; continues after the last complete epoch and keeps the best epoch on ``val``.

    Each epoch sees each image once, in a new view, because nothing needs to be stored.

    Args:
        folder: the folder for weights, state and log.
        train: rows to train on.
        val: rows that select the epoch.
        sam: the SAM, of which only the input size and the device are used.
        settings: the settings of this run.

    Raises:
        CheckpointError: if the folder contains a run on other data or with other settings.
    """

    def __init__(
        self,
        folder: Path,
        train: Sequence[CheckedRow],
        val: Sequence[CheckedRow],
        sam: Backbone,
        settings: UnetSettings,
    ) -> None:
        self.folder, self.train_rows, self.val, self.sam, self.settings = folder, train, val, sam, settings
        torch.manual_seed(settings.seed)
        self.unet = build_unet().to(sam.device)
        self.optimizer = torch.optim.AdamW(self.unet.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        self.epoch, self.cpu_seconds, self.best_dice = 0, 0.0, -1.0
        self.budget = settings.cpu_seconds
        self._identity = {
            "seed": settings.seed,
            "epochs": settings.epochs,
            "fit": str(settings.fit),
            "augmentation": str(settings.augmentation),
            "side": sam.image_size,
            "network": [list(FEATURES), BATCH, LEARNING_RATE],
            "data_sha256": data_sha256([*train, *val]),
            "reading": train[0].reading.model_dump(mode="json"),
        }
        if (folder / STATE_FILE).exists():
            self._resume()

    def _resume(self) -> None:
        path = self.folder / STATE_FILE
        try:
            weights, facts = load_training_state(path, [self.optimizer])
            if facts["identity"] != self._identity:
                raise ValueError("it has other settings or data")
            self.unet.load_state_dict(weights)
            self.epoch, self.cpu_seconds, self.best_dice = facts["epoch"], facts["cpu_seconds"], facts["best_dice"]
            self.budget = facts["budget"]  # as it was at the start: a finished run stays finished
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: contains a U-Net that cannot be resumed: {error}. Choose another -o folder"
            ) from error

    @property
    def finished(self) -> bool:
        """Whether the epochs or the CPU time are used up."""
        return self._share_done(self.epoch, self.cpu_seconds) >= 1

    def _share_done(self, epochs: float, cpu_seconds: float) -> float:
        """Return how much of the training is done, from 0 to 1."""
        if self.settings.epochs is not None:
            return min(1.0, epochs / self.settings.epochs)
        if self.budget is None:
            raise ValueError("a U-Net needs epochs or cpu_seconds")
        return min(1.0, cpu_seconds / self.budget)

    def run(self, progress: Progress = silent) -> nn.Module:
        """Train to the end and return the best by validation, in evaluation mode.

        ``progress`` is told the thousandths that are done, as the end may be a number of epochs or a time.
        """
        memory = [(s.image(), s.mask()) for s in (self._sample(row) for row in self.train_rows)]
        while not self.finished:
            started = time.process_time()
            loss = self._train_epoch(memory, started, progress)
            scored = [score_logits(self._sample(row), logits) for row, logits in self._logits(self.unet, self.val)]
            dice = float(np.mean([scores.dice for scores in scored]))
            self.epoch += 1
            self.cpu_seconds += time.process_time() - started
            if dice > self.best_dice:
                self.best_dice = dice
                state = {name: value.cpu().contiguous() for name, value in self.unet.state_dict().items()}
                write_whole(self.folder / BEST_FILE, lambda p, state=state: save_file(state, p))  # type: ignore[misc]
            self._write(loss, dice, time.process_time() - started)
        return self.best()

    def _write(self, loss: float, dice: float, cpu_seconds: float) -> None:
        path = self.folder / LOG_FILE
        lines = path.read_text(encoding="utf-8").splitlines()[: self.epoch - 1] if path.exists() else []
        facts = {"epoch": self.epoch, "mask": loss, "val_dice": dice, "cpu_seconds": cpu_seconds}
        lines.append(json.dumps({k: round(v, 6) for k, v in facts.items()}))
        write_text(path, "\n".join(lines) + "\n")
        state = {
            "identity": self._identity, "epoch": self.epoch, "cpu_seconds": self.cpu_seconds,
            "best_dice": self.best_dice, "budget": self.budget,
        }  # fmt: skip
        save_training_state(self.folder / STATE_FILE, [self.optimizer], dict(self.unet.state_dict()), state)

    def best(self) -> nn.Module:
        """Load the weights of the best epoch, in evaluation mode.

        Raises:
            CheckpointError: if they cannot be read.
        """
        path = self.folder / BEST_FILE
        unet = build_unet()
        try:
            unet.load_state_dict(load_file(path))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise CheckpointError(f"{path}: cannot be read as weights of the U-Net: {error}") from error
        return unet.to(self.sam.device).eval()

    def _sample(self, row: CheckedRow, view: int = 0) -> Sample:
        return Sample.of(row, self.sam, self.settings.fit, view, self.settings.augmentation)

    def _train_epoch(
        self,
        memory: list[tuple[np.ndarray, np.ndarray]],
        started: float,
        progress: Progress,
    ) -> float:
        """Train for one epoch on the images and masks in the model frame in ``memory``; return the mean loss."""
        self.unet.train()
        rng = np.random.default_rng([self.settings.seed, self.epoch])
        torch.manual_seed(self.settings.seed * 1_000_003 + self.epoch)
        order = rng.permutation(len(memory))
        losses = []
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            views = [self._sample(self.train_rows[i], self.epoch + 1).view for i in chosen]
            images = np.stack([view.apply_to_image(memory[i][0]) for view, i in zip(views, chosen, strict=True)])
            masks = np.stack([view.apply_to_mask(memory[i][1]) for view, i in zip(views, chosen, strict=True)])
            spent = self.cpu_seconds + time.process_time() - started
            done = self._share_done(self.epoch + start / len(order), spent)
            progress(
                "training",
                round(1000 * done),
                1000,
                f"epoch {self.epoch + 1}, best val Dice {max(self.best_dice, 0):.3f}",
            )
            set_rate([self.optimizer], cosine_rate(LEARNING_RATE, done, 1, floor=0.01))
            logits = self.unet(normalise(torch.from_numpy(images).to(self.sam.device)))[:, 0]
            loss = mask_loss(logits, torch.from_numpy(masks).float().to(self.sam.device)).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    @torch.no_grad()
    def _logits(self, unet: nn.Module, rows: Sequence[CheckedRow]) -> Iterator[tuple[CheckedRow, torch.Tensor]]:
        """Yield each row with its logits (S, S)."""
        unet.eval()
        for row in rows:
            image = torch.from_numpy(self._sample(row).image())[None].to(self.sam.device)
            yield row, unet(normalise(image))[0, 0].cpu()

    def evaluate(self, rows: Sequence[CheckedRow], how: Assessment) -> list[Result]:
        """Evaluate the best U-Net by the requested protocol; its predicted IoU is NaN, because it predicts none."""
        return [
            score_row(self._decoded(row, logits), MaskChoice.FIRST, how, full=True)
            for row, logits in self._logits(self.best(), rows)
        ]

    def _decoded(self, row: CheckedRow, logits: torch.Tensor) -> DecodedRow:
        """A row with its only mask, of which nothing is predicted."""
        sample, nothing = self._sample(row), torch.full((1, 1), float("nan"))
        return DecodedRow(sample, Masks(logits[None, None], nothing, sample.geometry))

    def best_sha256(self) -> str:
        """Return the hash of the weights of the best epoch."""
        return state_sha256(dict(self.best().state_dict()))
