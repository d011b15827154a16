"""Incremental pattern shifting: from the image's embedding to a small shift of the decoder's mask tokens."""

from torch import Tensor, nn


class PatternShift(nn.Module):
    """Shift each mask token of SAM's decoder, image by image (IPS in the paper).

    The second layer starts at zero, so that an untrained shift leaves SAM exactly as it was.

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
        shift: Tensor = self.lin2(self.act(self.lin1(embedding.mean((2, 3)))))
        return shift.unflatten(1, (self.num_mask_tokens, -1))
