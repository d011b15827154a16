"""The optimizer of a training."""

from torch.optim import Adam, AdamW, Optimizer

from promise_seg import vocabulary
from promise_seg.learning.class_networks import ClassNetworks
from promise_seg.learning.settings import TrainSettings
from promise_seg.model import PromiseModel


def build_optimizer(model: PromiseModel | ClassNetworks, settings: TrainSettings) -> Optimizer:
    """Return the optimizer of the settings for all trained parameters of a model."""
    kind = AdamW if settings.optimizer == vocabulary.Optimizer.ADAMW else Adam
    return kind(model.parameter_groups(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
