"""The output of the decoder of a SAM."""

from typing import NamedTuple

from torch import Tensor

NUM_CANDIDATES = 3
"""The number of candidate masks that every SAM decodes for a set of prompts."""


class Decoded(NamedTuple):
    """The M masks for each of K sets of prompts of B images.

    Shape:
        mask_logits: (B, K, M, 4h, 4w), unbounded.
        iou: (B, K, M), SAM's own estimate of each mask's IoU.
        tokens: (B, K, M, D), the decoder's output tokens for each mask; ``None`` once a mask was chosen.
        learned_iou: (B, K, M), the IoU of each mask as estimated by a trained model; ``None`` for a bare SAM.
        object_logits: (B, K), the logit that there is an object at the prompts, estimated by SAM 2 and its relatives;
            ``None`` for any other SAM.
    """

    mask_logits: Tensor
    iou: Tensor
    tokens: Tensor | None = None
    learned_iou: Tensor | None = None
    object_logits: Tensor | None = None
