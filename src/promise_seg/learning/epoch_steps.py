"""The steps of an epoch: batches that are read ahead, losses, gradients and learning rates."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, send_to_device
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from promise_seg.learning.given import draw_forms
from promise_seg.learning.objective import training_losses
from promise_seg.learning.schedule import cosine_rate, set_rate, warm_up
from promise_seg.learning.seeds import torch_seed
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.sharing import Share
from promise_seg.learning.training_set import EpochDraws, TrainingBatch
from promise_seg.parallel.overlapping import Helper
from promise_seg.progress import Progress, silent
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import GivenPrompts, Protocol

_LARGEST_NORM = 1.0
"""Gradients are clipped to this norm, over all trained parameters."""
_LAST_SHARE = 0.01
"""The learning rate at the end of training, as a share of the highest."""


class EpochSteps:
    """The steps in which a network learns, epoch by epoch. Nothing is validated, chosen or written here.

    Args:
        network: all trained parts, as the accelerator prepared them.
        optimizer: the optimizer of their parameters, prepared as well.
        loader: the loader of the batches, see :func:`~promise_seg.learning.sharing.shared_loader`.
        draws: the sampler of the loader.
        settings: the settings of the training.
        accelerator: device, precision and processes.
        image_size: side S of the SAM's input, in pixels.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        loader: DataLoader,
        draws: EpochDraws,
        settings: TrainSettings,
        accelerator: Accelerator,
        image_size: int,
    ) -> None:
        self.network, self.optimizer, self.loader, self.draws = network, optimizer, loader, draws
        self.settings, self.accelerator, self.image_size = settings, accelerator, image_size

    def train(self, epoch: int, progress: Progress = silent, best: str = "") -> dict[str, float]:
        """Train on all train rows once.

        Args:
            epoch: the number of the epoch, from 0. All random draws depend only on the seed and this number.
            progress: called for each step.
            best: a description of the best epoch so far, if there is one, for the progress.

        Returns:
            The mean of each loss over the steps, and the last learning rate.
        """
        self.network.train()
        self.draws.epoch = epoch
        torch.manual_seed(torch_seed(self.settings.seed, epoch))
        losses_of_steps: dict[str, list[Tensor]] = {}
        steps, epochs = len(self.loader), self.settings.epochs
        words = _in_words(epoch + 1, epochs, best)
        rate = 0.0
        for number, batch in enumerate(self.batches()):
            rate = self._rate(epoch * steps + number)
            set_rate([self.optimizer], rate)
            losses = self.differentiate(batch, number)
            if self.settings.protocol == Protocol.OWN:
                self.accelerator.clip_grad_norm_(self.network.parameters(), _LARGEST_NORM)
            self.optimizer.step()
            for name, value in losses.items():  # converted to numbers later, so that no step waits for the device
                losses_of_steps.setdefault(name, []).append(value)
            progress("training", epoch * steps + number + 1, epochs * steps, words)
        means = {name: sum(map(float, values)) / len(values) for name, values in losses_of_steps.items()}
        of_processes = gather_object([means])  # each with the weight of its share
        return {name: float(np.mean([one[name] for one in of_processes])) for name in means} | {"learning_rate": rate}

    def tell_end(self, progress: Progress, best: str) -> None:
        """Report the end of the last epoch once more, with the best epoch after its scores are known."""
        epochs = self.settings.epochs
        progress("training", epochs * len(self.loader), epochs * len(self.loader), _in_words(epochs, epochs, best))

    def batches(self) -> Iterator[Any]:
        """Yield the batches of an epoch; another thread reads the next one while a step is computed."""
        with Helper(depth=1) as helper:
            batches, device = iter(self.loader), self.accelerator.device
            for _, batch in helper.ahead(range(len(self.loader)), lambda _: send_to_device(next(batches), device)):
                yield batch()
            next(batches, None)  # lets the loader finish

    def _rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from the first epoch: linear warm-up, then cosine decay to 1 %;
        constant with the reference protocol."""
        if self.settings.protocol == Protocol.REFERENCE:
            return self.settings.learning_rate
        total = self.settings.epochs * len(self.loader)
        warm = max(1, round(self.settings.warmup_share * total))
        return cosine_rate(self.settings.learning_rate, step, total, floor=_LAST_SHARE, rise=warm_up(step, warm))

    def differentiate(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Compute the gradients of a step, from each part of its batch in turn; return the mean losses.

        The losses have the weight of the share of this process, so their mean over the processes is that over the
        images.
        """
        decodes = step % self.settings.decoder_interval == 0
        weight = Share.of_process(self.accelerator).weight(self.draws.size_of(step))
        self.optimizer.zero_grad()
        means: dict[str, Tensor] = {}
        parts = [(part, share * weight) for part, share in self._parts(batch)]
        for number, (part, share) in enumerate(parts):
            with nullcontext() if number == len(parts) - 1 else self.accelerator.no_sync(self.network):
                losses = self._losses(part, step, decodes=decodes)
                self.accelerator.backward(sum(losses.values()) * share)
            for name, value in losses.items():
                means[name] = means.get(name, 0) + value.detach() * share
        return means

    def _parts(self, batch: Any) -> list[tuple[Any, float]]:
        """Return the parts of a batch that are computed one after the other, with the share of the batch in each."""
        return [(one, len(one.target) / len(batch.target)) for one in batch.parts(self.settings.accumulate)]

    def _losses(self, part: Any, step: int, *, decodes: bool) -> dict[str, Tensor]:
        """Return the losses of one part of a batch, in a step of this epoch."""
        given = self._given(part, step) if decodes else []
        with self.accelerator.autocast():
            output = self.network(part.inputs, *given, most_sets=self.settings.own_sets, decodes=decodes)
        return training_losses(output, part, self.settings, self.image_size)

    def _given(self, batch: TrainingBatch, step: int) -> list[Prompts]:
        """Return the simulated user prompts in a step of this epoch, each in the same form for all images."""
        if not self.settings.learns_from_given:
            return []
        if self.settings.given_prompts == GivenPrompts.POINTS:
            return [batch.oracle]
        rng = np.random.default_rng([self.settings.seed, self.draws.epoch, step])
        return [batch.given(form) for form in draw_forms(rng, self.settings.num_points)]


def _in_words(epoch: int, epochs: int, best: str) -> str:
    """Return a description of an epoch, counted from 1, and of the best one so far."""
    return f"epoch {epoch}/{epochs}" + (f", {best}" if best else "")
