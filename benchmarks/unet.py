"""A U-Net trained from scratch on the same rows, at the same input size, for a given CPU time: the yardstick."""

import math
import time
from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from monai.networks.nets import BasicUNet
from torch import nn

from promise_seg.assessment.evaluation import score_logits
from promise_seg.assessment.metrics import Scores
from promise_seg.data.augmentation import view_of
from promise_seg.data.checks import CheckedRow
from promise_seg.data.geometry import Fit
from promise_seg.features.encoding import Sample
from promise_seg.learning.losses import mask_loss
from promise_seg.sam.normalisation import normalise

BATCH = 16


def build_unet(side_features: tuple[int, ...] = (32, 32, 64, 128, 256, 32)) -> nn.Module:
    return BasicUNet(spatial_dims=2, in_channels=3, out_channels=1, features=side_features)


def _sample(row: CheckedRow, side: int) -> Sample:
    return Sample(row, view_of(row.image_sha256, 0), side, Fit.STRETCH)


@torch.no_grad()
def score_unet(unet: nn.Module, rows: Sequence[CheckedRow], side: int) -> list[Scores]:
    """Scores at each image's own size."""
    unet.eval()
    scores = []
    for row in rows:
        sample = _sample(row, side)
        logits = unet(normalise(torch.from_numpy(sample.image())[None]))[0, 0]
        scores.append(score_logits(sample, logits))
    return scores


def train_unet(
    train: Sequence[CheckedRow], val: Sequence[CheckedRow], *, side: int, cpu_seconds: float, seed: int
) -> tuple[nn.Module, int]:
    """Train until the process has spent ``cpu_seconds`` and return the best U-Net by val Dice, and its epochs.

    The same loss and the same family of views as for promise-seg, but a new view of each image in every epoch, as
    nothing has to be stored. Images and masks are held in memory in the model frame.
    """
    torch.manual_seed(seed)
    unet = build_unet()
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-3, weight_decay=0.01)
    rng = np.random.default_rng(seed)
    plain = [(s.image(), s.mask()) for s in (_sample(row, side) for row in train)]
    started, epoch, best, best_state = time.process_time(), 0, -1.0, deepcopy(unet.state_dict())
    while time.process_time() - started < cpu_seconds:
        unet.train()
        epoch += 1
        order = rng.permutation(len(train))
        for start in range(0, len(order), BATCH):
            images, masks = [], []
            for i in order[start : start + BATCH]:
                view = view_of(train[i].image_sha256, epoch - 1)
                images.append(view.apply_to_image(plain[i][0]))
                masks.append(view.apply_to_mask(plain[i][1]))
            done = min(1.0, (time.process_time() - started) / cpu_seconds)
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * (0.495 * (1 + math.cos(math.pi * done)) + 0.01)
            logits = unet(normalise(torch.from_numpy(np.stack(images))))[:, 0]
            loss = mask_loss(logits, torch.from_numpy(np.stack(masks)).float()).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        dice = float(np.mean([s.dice for s in score_unet(unet, val, side)]))
        if dice > best:
            best, best_state = dice, deepcopy(unet.state_dict())
    unet.load_state_dict(best_state)
    return unet, epoch
