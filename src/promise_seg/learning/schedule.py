"""The learning rate of a step: linear warm-up, then cosine decay to a share of the peak.

It is a function of the step alone, so it needs no state to resume. The schedulers of torch and transformers keep such
state in the optimizer, and their cosine begins after the warm-up instead of with it.
"""

import math
from collections.abc import Iterable

from torch.optim import Optimizer


def cosine_rate(peak: float, done: float, total: float, *, floor: float, rise: float = 1.0) -> float:
    """Return the learning rate after ``done`` of ``total`` steps, or of another measure of work.

    Args:
        peak: the highest learning rate.
        done: the amount of training that is done.
        total: the amount of the whole training.
        floor: the share of ``peak`` that is left at the end.
        rise: the factor of the warm-up, from :func:`warm_up`; 1 without a warm-up.
    """
    return peak * rise * ((1 - floor) / 2 * (1 + math.cos(math.pi * done / total)) + floor)


def warm_up(step: int, steps: int) -> float:
    """Return the factor of the learning rate at ``step``, from 0, for a warm-up of ``steps``: at most 1."""
    return min(1.0, (step + 1) / steps)


def set_rate(optimizers: Iterable[Optimizer], rate: float) -> None:
    """Set the learning rate of all parameters of some optimizers, times the ``scale`` of their group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
