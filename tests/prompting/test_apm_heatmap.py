import pytest
import torch

from promise_seg.errors import SettingsError
from promise_seg.learning.losses import point_loss, signed_distances
from promise_seg.prompting.apm import PointsConfig
from promise_seg.prompting.apm_heatmap import HeatmapPrompter
from promise_seg.prompting.building import CONFIGS, make_apm_config
from promise_seg.sam.features import Features, FeatureSizes
from promise_seg.vocabulary import ApmKind

GRID, SIDE = 8, 32
SIZES = FeatureSizes(side=SIDE, grid=GRID, embedding_channels=16, stage_channels=(16,) * 4, num_heads=2)


def some_features(batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Features.of(
        torch.randn(batch, 16, GRID, GRID, generator=generator),
        torch.randn(batch, 4, GRID, GRID, 16, generator=generator),
    )


def test_points_lie_in_the_model_frame_and_differ():
    apm = HeatmapPrompter(SIZES, 16, 8).eval()
    proposal = apm(some_features())
    assert proposal.points_xy_model.shape == (2, 1, 16, 2)
    assert ((proposal.points_xy_model >= -0.5) & (proposal.points_xy_model <= SIDE - 0.5)).all()
    assert torch.cdist(proposal.points_xy_model[0, 0], proposal.points_xy_model[0, 0]).fill_diagonal_(9).min() > 0.2


def test_salient_places_draw_the_foreground_points_and_repel_the_others():
    apm = HeatmapPrompter(SIZES, 16, 8).eval()
    wanted = torch.full((1, 1, 2 * GRID, 2 * GRID), -8.0)
    wanted[..., 2:7, 9:14] = 8.0

    class Wanted(torch.nn.Module):
        def forward(self, maps):
            return wanted

    apm.saliency = Wanted()
    points = apm(some_features(1)).points_xy_model[0, 0] + 0.5
    cell = SIDE / (2 * GRID)
    x, y = points[:, 0] / cell, points[:, 1] / cell
    inside = (x > 9) & (x < 14) & (y > 2) & (y < 7)
    assert inside[:8].all()
    assert not inside[8:].any()


@pytest.mark.slow
def test_a_few_steps_on_one_image_lead_its_points_to_their_sides():
    torch.manual_seed(0)
    apm = HeatmapPrompter(SIZES, 8, 4)
    features = some_features(1)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[9:14, 2:7] = True
    distance = torch.from_numpy(signed_distances(mask.numpy()))[None]
    optimizer = torch.optim.Adam(apm.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        proposal = apm(features)
        loss = point_loss(proposal.points_xy_model[:, 0], proposal.point_labels[:, 0], distance, SIDE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("kind", [kind for kind in ApmKind if issubclass(CONFIGS[kind], PointsConfig)])
@pytest.mark.parametrize(("points", "foreground"), [(1, 1), (4, 0), (5, 5), (16, 8)])
def test_as_many_points_are_proposed_as_are_asked_for(kind, points, foreground):
    apm = make_apm_config(kind, num_points=points, num_foreground=foreground).build(SIZES)
    proposal = apm(some_features())
    assert proposal.points_xy_model.shape == (2, 1, points, 2)
    assert proposal.point_labels.sum(2).tolist() == [[foreground]] * 2
    assert torch.isfinite(proposal.points_xy_model).all()


def test_impossible_numbers_of_points_are_refused():
    with pytest.raises(SettingsError, match="of 4 points 5 cannot be foreground"):
        HeatmapPrompter(SIZES, 4, 5)
