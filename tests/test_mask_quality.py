"""Which of SAM's masks is best is learned."""

import torch

from promise_seg.mask_quality import MaskQuality


def test_untrained_it_is_sam_s_own_estimate():
    tokens, iou = torch.randn(2, 3, 4, 8), torch.rand(2, 3, 4)
    assert torch.equal(MaskQuality(8)(tokens, iou), iou)


def test_it_learns_from_the_tokens_and_nothing_flows_back():
    torch.manual_seed(0)
    tokens, iou = torch.randn(16, 1, 3, 8, requires_grad=True), torch.full((16, 1, 3), 0.5, requires_grad=True)
    wanted = tokens.detach()[..., 0].sigmoid()
    quality = MaskQuality(8)
    optimizer = torch.optim.Adam(quality.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = (quality(tokens, iou) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    assert tokens.grad is None
    assert iou.grad is None
