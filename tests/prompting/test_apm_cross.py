import numpy as np
import pytest
import torch

from promise_seg.errors import SettingsError
from promise_seg.prompting.apm_cross import CrossPrompter, sine_code
from promise_seg.sam.features import Features
from promise_seg.vocabulary import PositionCode


def some_features(grid=8, channels=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Features.of(torch.zeros(2, 4, grid, grid), torch.randn(2, 4, grid, grid, channels, generator=generator))


@pytest.mark.parametrize(("grid", "channels", "heads", "side"), [(8, 16, 2, 32), (6, 40, 5, 128)])
def test_it_fits_other_sizes_of_sam(grid, channels, heads, side):
    proposal = CrossPrompter((channels,) * 4, heads, side, 6, 2)(some_features(grid, channels))
    assert proposal.points_xy_model.shape == (2, 1, 6, 2)
    assert ((proposal.points_xy_model >= 0) & (proposal.points_xy_model <= side)).all()
    assert proposal.point_labels.tolist() == [[[1, 1, 0, 0, 0, 0]]] * 2


def test_it_attends_to_blocks_12_9_6_in_that_order_and_enlarges_the_earlier_ones():
    apm = CrossPrompter((16,) * 4, 2, 32, 4, 2).eval()
    seen = []
    apm.cross.register_forward_pre_hook(lambda _, args: seen.append([float(x.mean()) for x in args]))
    keys = []
    for layer in apm.cross.layers:
        layer.register_forward_pre_hook(lambda _, args: keys.append(args[2].shape[1]))
    apm(Features.of(torch.zeros(1, 4, 8, 8), torch.arange(4.0)[None, :, None, None, None].expand(1, 4, 8, 8, 16)))
    assert seen == [[3.0, 2.0, 1.0]]
    assert keys == [8 * 8, 14 * 14, 26 * 26]


def test_values_carry_no_position():
    """Keys get the sine code, values do not: with equal features everywhere, where they stand changes nothing."""
    apm = CrossPrompter((16,) * 4, 2, 32, 4, 2).eval()
    seen = []
    apm.cross.layers[0].register_forward_pre_hook(lambda _, args: seen.append((args[2], args[3])))
    apm(Features.of(torch.zeros(1, 4, 8, 8), torch.ones(1, 4, 8, 8, 16)))
    keys, values = seen[0]
    assert values[0].std(0).max() == 0
    assert keys[0].std(0).max() > 0.1


@pytest.mark.parametrize("code", list(PositionCode))
def test_the_first_half_of_a_position_code_tells_y_alone_and_the_second_x(code):
    sine = sine_code(4, 6, 16, code)
    assert sine.shape == (24, 16)
    grid = sine.unflatten(0, (4, 6))
    assert torch.equal(grid[:, 0, :8], grid[:, 5, :8])  # the first half tells y alone
    assert torch.equal(grid[0, :, 8:], grid[3, :, 8:])  # the second x alone
    y = 2 * np.pi * 2 / (4 + 1e-6)
    divisors = {"reference": (1, 2), "geometric": (1, 1)}[code]
    np.testing.assert_allclose(grid[1, 0, :2], [np.sin(y / divisors[0]), np.cos(y / divisors[1])], atol=1e-5)


def test_geometric_wavelengths_grow_to_ten_thousand():
    slow = sine_code(64, 64, 256, PositionCode.GEOMETRIC)[:, 126]
    assert slow.max() < 0.001
    assert sine_code(64, 64, 256, PositionCode.REFERENCE)[:, 126].max() > 0.04


def test_widths_without_a_code_are_refused():
    with pytest.raises(SettingsError, match="multiple of 4, got 18"):
        CrossPrompter((18,) * 4, 2, 32, 4, 2)
