"""A learned estimate of the quality of each of SAM's masks: SAM's own estimate, corrected for the images at hand."""

from torch import Tensor, nn


class MaskQuality(nn.Module):
    """Estimate the IoU of each mask from the output tokens of the decoder.

    The last layer starts at zero, so that the untrained module returns SAM's own estimate. No gradient flows back into
    the decoder.

    Shape: tokens (B, K, M, D) and SAM's estimate (B, K, M) to (B, K, M).
    """

    def __init__(self, token_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(token_channels)
        self.lin1 = nn.Linear(token_channels, token_channels // 2)
        self.act = nn.GELU()
        self.lin2 = nn.Linear(token_channels // 2, 1)
        nn.init.zeros_(self.lin2.weight)
        nn.init.zeros_(self.lin2.bias)

    def forward(self, tokens: Tensor, iou: Tensor) -> Tensor:
        correction: Tensor = self.lin2(self.act(self.lin1(self.norm(tokens.detach()))))[..., 0]
        return iou.detach() + correction
