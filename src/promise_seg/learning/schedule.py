"""The learning rate of a step: linear warm-up, then cosine decay to a share of the peak.

A function of the step alone, so that a run that resumes needs no state of it. The schedulers of torch and transformers
keep such state in the optimizer, and their cosine begins after the warm-up and not with it.
"""

import math
from collections.abc import Iterable

from torch.optim import Optimizer


def cosine_rate(peak: float, done: float, total: float, *, floor: float, rise: float = 1.0) -> float:
    """The learning rate when ``done`` of ``total`` steps, or of another measure of work, are over.

    Args:
        peak: the highest learning rate.
        done: how much of the training is over.
        total: how much the whole training is.
        floor: the share of ``peak`` that is left at the end.
        rise: the share of the warm-up that is over, from :func:`warm_up`; 1 without one.
    """
    return peak * rise * ((1 - floor) / 2 * (1 + math.cos(math.pi * done / total)) + floor)


def warm_up(step: int, steps: int) -> float:
    """Return the factor of the learning rate at ``step``, from 0, of a warm-up of ``steps``: at most 1."""
    return min(1.0, (step + 1) / steps)


def set_rate(optimizers: Iterable[Optimizer], rate: float) -> None:
    """Give all parameters of some optimizers one learning rate, times the ``scale`` of their group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
