"""A SAM with trainable parts, for the freeze levels of the reference implementation (``--train-also``)."""

import copy
from typing import Self

import torch
from torch import Tensor, nn
from transformers import SamModel

from promise_seg.errors import SettingsError
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.features import Features
from promise_seg.sam.frozen import FrozenSam
from promise_seg.vocabulary import EncoderPrecision, TrainAlso


def _position_codes(model: SamModel) -> list[nn.Parameter]:
    """Return the random frequencies of the position code, of which the library holds two copies."""
    return [p for name, p in model.named_parameters(remove_duplicate=False) if name.endswith(".positional_embedding")]


class TunedSam(FrozenSam):
    """A SAM with its own trainable copies of some parts; all other parts are shared with the original SAM.

    Training never changes the original SAM, and checkpoints hold its hash. The position code, which SAM itself never
    trained, stays shared and frozen.
    """

    def __init__(self, base: FrozenSam, train_also: TrainAlso) -> None:
        model = copy.copy(base.model)
        kept = _position_codes(model)  # a deep copy does not copy what is in its memo
        parts = {name: copy.deepcopy(getattr(model, name), {id(p): p for p in kept}) for name in train_also.parts}
        model._modules = base.model._modules | parts
        self._parts = train_also.parts
        super().__init__(model, base.name, base.sha256, base.notes, base.trained_at)
        self.encoder_precision, self._lighter = base.encoder_precision, base._lighter

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the trainable parts; all other parts stay frozen and in evaluation mode."""
        super().train(False)
        for name in self._parts:
            part = getattr(self.model, name).train(mode)
            for parameter in part.parameters():
                parameter.requires_grad_(True)
        for parameter in _position_codes(self.model):
            parameter.requires_grad_(False)
        return self

    @property
    def encoder_learns(self) -> bool:
        return "vision_encoder" in self._parts

    def encode(self, images: Tensor) -> Features:
        """See :meth:`Backbone.encode`; gradients reach the encoder if it learns."""
        with torch.set_grad_enabled(self.encoder_learns and torch.is_grad_enabled()):
            return self._encode(self._checked(images))


def tuned(sam: Backbone, train_also: TrainAlso) -> Backbone:
    """Return a backbone with trainable copies of these parts of SAM, or ``sam`` itself if nothing is trained.

    Raises:
        SettingsError: if this kind of SAM has no trainable parts, or the encoder is to be trained in a precision other
            than single precision.
    """
    if train_also == TrainAlso.NONE:
        return sam
    if "vision_encoder" in train_also.parts and sam.encoder_precision != EncoderPrecision.FP32:
        raise SettingsError(
            f"--train-also {train_also}: the encoder cannot be trained with --encoder-precision "
            f"{sam.encoder_precision}. Leave one of the two out"
        )
    if not isinstance(sam, FrozenSam):
        raise SettingsError(f"--train-also {train_also}: parts of {sam.name} cannot be trained, only those of a SAM")
    return TunedSam(sam, train_also)
