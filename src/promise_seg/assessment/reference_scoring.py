"""Scores as computed by the published reference, to reproduce its figures; not used by our own protocol."""

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from promise_seg.arrays import BoolArray
from promise_seg.assessment.metrics import Scores, score_mask
from promise_seg.inference.encoding import Sample

SIDE = 256
_KERNEL = np.ones((5, 5), np.uint8)


def score_by_reference(sample: Sample, mask_logits: torch.Tensor) -> Scores:
    """Score low-resolution logits (h, h) at 256 px, where every pixel above 0 of the downscaled ground truth counts."""
    truth = torch.from_numpy(sample.mask())[None, None].float()
    truth = F.interpolate(truth, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
    return score_mask(reference_mask(mask_logits).astype(np.float32), (truth > 0).numpy())


def reference_mask(mask_logits: torch.Tensor) -> BoolArray:
    """Return the mask (256, 256) that the reference scores: logits (h, h) above 0.5 in probability, opened by 5 x 5."""
    mask_probs = mask_logits.float().sigmoid()[None, None]
    if mask_probs.shape[-1] != SIDE:
        mask_probs = F.interpolate(mask_probs, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    opened = cv2.morphologyEx((mask_probs[0, 0] > 0.5).cpu().numpy().astype(np.uint8), cv2.MORPH_OPEN, _KERNEL)
    return opened > 0
