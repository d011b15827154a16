"""The output of the decoder of a SAM."""

from typing import NamedTuple

from torch import Tensor


class Decoded(NamedTuple):
    """Masks for K sets of prompts of B images, M for each.

    Shape:
        mask_logits: (B, K, M, 4h, 4w), unbounded.
        iou: (B, K, M), SAM's own estimate of each mask's IoU.
        tokens: (B, K, M, D), what the decoder ended with for each mask; ``None`` once a mask was chosen.
        learned_iou: (B, K, M), the IoU of each mask as a trained model estimates it; ``None`` of a bare SAM.
        object_logits: (B, K), whether there is an object at the prompts at all, as SAM 2 and its relatives estimate
            it; ``None`` of a SAM that does not.
    """

    mask_logits: Tensor
    iou: Tensor
    tokens: Tensor | None = None
    learned_iou: Tensor | None = None
    object_logits: Tensor | None = None
