import pytest
import torch

from promise_seg.prompting.apm_resnet import ResnetPrompter, _Strided
from promise_seg.sam.features import Features


@pytest.mark.parametrize(("grid", "channels", "side"), [(8, 16, 32), (16, 160, 128)])
def test_it_fits_other_sizes_of_sam(grid, channels, side):
    apm = ResnetPrompter((channels,) * 4, side, 6, 2)
    features = Features.of(torch.zeros(2, 4, grid, grid), torch.randn(2, 4, grid, grid, channels))
    proposal = apm(features)
    assert proposal.points_xy_model.shape == (2, 1, 6, 2)
    assert ((proposal.points_xy_model >= 0) & (proposal.points_xy_model <= side)).all()
    assert proposal.point_labels.tolist() == [[[1, 1, 0, 0, 0, 0]]] * 2


def test_it_reads_blocks_12_9_6_in_that_order():
    apm = ResnetPrompter((16,) * 4, 32, 4, 2).eval()
    stacked = []
    apm.feature_map.register_forward_pre_hook(lambda _, args: stacked.append(args[0]))
    stages = torch.arange(4.0)[None, :, None, None, None].expand(1, 4, 8, 8, 16)
    apm(Features.of(torch.zeros(1, 4, 8, 8), stages))
    assert stacked[0][0, :, 0, 0].tolist() == [3.0] * 16 + [2.0] * 16 + [1.0] * 16


def gradients_in_bfloat16(apm: ResnetPrompter, features: Features) -> dict[str, torch.Tensor]:
    apm.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16):
        points = apm(features).points_xy_model
    points.float().mean().backward()
    return {name: value.grad for name, value in apm.named_parameters()}


@pytest.mark.parametrize("grid", [8, 16])
def test_its_gradients_in_bfloat16_are_numbers_and_the_same_each_time(grid):
    """At a grid of 8 the last stage sees a single cell, where a gradient used to be whatever was in memory."""
    torch.manual_seed(0)
    apm = ResnetPrompter((16,) * 4, 32, 4, 2)
    features = Features.of(torch.zeros(3, 4, grid, grid), torch.randn(3, 4, grid, grid, 16))
    first = gradients_in_bfloat16(apm, features)
    for _ in range(3):
        for value in first.values():  # so that memory which is not written holds NaN
            torch.full_like(value, torch.nan)
            torch.full_like(value, torch.nan, dtype=torch.bfloat16)
        for name, value in gradients_in_bfloat16(apm, features).items():
            assert value.isfinite().all(), name
            assert torch.equal(value, first[name]), name


@pytest.mark.parametrize("images", [1, 2])
def test_it_learns_from_batches_of_one_image_on_a_small_grid(images):
    """The last stage then sees one value per channel, which has no variance: its running statistics are used."""
    torch.manual_seed(0)
    apm = ResnetPrompter((16,) * 4, 128, 4, 2).train()
    before = apm.resnet.layer4[0].bn1.running_mean.clone()
    features = Features.of(torch.zeros(images, 4, 16, 16), torch.randn(images, 4, 16, 16, 16))
    apm(features).points_xy_model.sum().backward()
    assert all(value.grad.isfinite().all() for value in apm.parameters())
    assert bool(torch.equal(apm.resnet.layer4[0].bn1.running_mean, before)) == (images == 1)


@pytest.mark.parametrize("side", [1, 2, 3, 8])
def test_a_single_cell_is_convolved_without_a_stride_to_the_same_output(side):
    torch.manual_seed(0)
    ours, plain = _Strided(4, 6, 3, 2, 1, bias=False), torch.nn.Conv2d(4, 6, 3, 2, 1, bias=False)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 4, side, side)
    torch.testing.assert_close(ours(x), plain(x))
