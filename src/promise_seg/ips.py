"""Incremental pattern shifting (IPS): small shifts of the decoder's mask tokens, computed from the image embedding."""

import torch
from torch import Tensor, nn

from promise_seg.sam.prompts import Prompts

_MOST_POINTS = 16  # higher counts are treated like this one, as none occur in training


class PatternShift(nn.Module):
    """Shift each mask token of SAM's decoder, image by image (IPS in the paper).

    The second layer starts at zero, so that an untrained shift leaves SAM unchanged.

    Shape: embedding (B, C, h, w) to (B, M, C), M mask tokens; for SAM (B, 256, 64, 64) to (B, 4, 256).
    Source: ProMISe, section on IPS; reference parameters ``ips_ffn.lin1`` and ``ips_ffn.lin2``.
    """

    def __init__(self, channels: int, num_mask_tokens: int) -> None:
        super().__init__()
        hidden = num_mask_tokens * channels
        self.num_mask_tokens = num_mask_tokens
        self.lin1 = nn.Linear(channels, hidden)
        self.act = nn.GELU()
        self.lin2 = nn.Linear(hidden, hidden)
        nn.init.zeros_(self.lin2.weight)
        nn.init.zeros_(self.lin2.bias)

    def forward(self, embedding: Tensor) -> Tensor:
        return self._shift(self.lin1(embedding.mean((2, 3))))

    def _shift(self, hidden: Tensor) -> Tensor:
        shift: Tensor = self.lin2(self.act(hidden))
        return shift.unflatten(1, (self.num_mask_tokens, -1))


class GivenShift(PatternShift):
    """The shift for prompts given by a person, which also depends on their form: the number of points, and any box.

    A shift that suits one point does not suit sixteen. The weights of the form start at zero.

    Shape: as for :class:`PatternShift`, with prompts for each of the B images as a second input.
    """

    def __init__(self, channels: int, num_mask_tokens: int) -> None:
        super().__init__(channels, num_mask_tokens)
        self.by_form = nn.Linear(3, num_mask_tokens * channels, bias=False)
        nn.init.zeros_(self.by_form.weight)

    def forward(self, embedding: Tensor, prompts: Prompts) -> Tensor:  # type: ignore[override]  # needs more
        return self.of_form(embedding, _form_of(prompts).to(embedding).expand(len(embedding), -1))

    def of_form(self, embedding: Tensor, form: Tensor) -> Tensor:
        """Return the shift for embeddings (B, C, h, w) and forms (B, 3) from :func:`form_values`."""
        return self._shift(self.lin1(embedding.mean((2, 3))) + self.by_form(form))


def _form_of(prompts: Prompts) -> Tensor:
    """Return the form of the prompts of each image: (B, 3), or (1, 3) if there are no points.

    If the sets of prompts of an image differ in their number of points, the largest number counts.
    """
    labels = prompts.point_labels
    points = torch.zeros(1, dtype=torch.long) if labels is None else (labels >= 0).sum(-1).amax(1)
    return form_values(points, torch.full_like(points, prompts.boxes_xyxy_model is not None))


def form_values(points: Tensor, has_boxes: Tensor) -> Tensor:
    """Return three numbers near 1, (B, 3), for numbers of points (B,) and whether there are boxes (B,).

    They are ``log2(1 + points) - 2``, whether there are points, and whether there are boxes.
    """
    points = points.clamp(max=_MOST_POINTS).float()
    return torch.stack([torch.log2(1 + points) - 2, (points > 0).float(), has_boxes.float()], 1)
