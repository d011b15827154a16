import pytest
import torch

from promise_seg.errors import SettingsError
from promise_seg.learning.settings import make_settings
from promise_seg.prompting.apm_peaks import PeaksConfig, PeaksPrompter
from promise_seg.vocabulary import ApmKind
from tests.prompting.contract import SIZES, features_for

GRID = 2 * SIZES.grid
CELL = SIZES.side / GRID


class Fixed(torch.nn.Module):
    """A saliency that is as wanted, whatever the maps."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, maps):
        return self.logits[None, None].expand(len(maps), 1, -1, -1)


def cells_of(points_xy_model):
    """The cells (x, y) of the saliency in which points lie."""
    return ((points_xy_model + 0.5) / CELL).floor().long()


def located(logits, num_points=16, num_foreground=8, distance=0.1):
    apm = PeaksPrompter(SIZES, num_points, num_foreground, distance).eval()
    apm.saliency = Fixed(logits)
    with torch.no_grad():
        return apm(features_for(SIZES, batch=1)).points_xy_model[0, 0]


@pytest.fixture
def two_objects():
    logits = torch.full((GRID, GRID), -8.0)
    logits[1:4, 1:4] = 8.0
    logits[10:15, 11:15] = 8.0
    return logits


def test_points_go_to_every_object(two_objects):
    x, y = cells_of(located(two_objects)).unbind(-1)
    on_objects = two_objects[y, x] > 0
    assert on_objects[:8].all()
    assert not on_objects[8:].any()
    first = (x[:8] < 4) & (y[:8] < 4)
    assert 2 <= int(first.sum()) <= 6


def test_points_keep_apart_as_far_as_is_said_where_there_is_room():
    everywhere = torch.full((GRID, GRID), 8.0)
    nearest = [
        torch.cdist(points, points).fill_diagonal_(99).min().item() / SIZES.side
        for points in (located(everywhere, 6, 6, distance) for distance in (0.02, 0.1, 0.3))
    ]
    assert nearest[0] < nearest[1] < nearest[2]
    assert nearest[1] > 0.1


def test_background_points_stay_near_the_object():
    logits = torch.full((GRID, GRID), -8.0)
    logits[2:5, 2:5] = 8.0
    points = (located(logits, 6, 2) + 0.5) / CELL
    assert (points[2:] - 3.5).norm(dim=-1).max() < 8


def test_a_trained_one_proposes_any_number_of_points():
    few, many = (PeaksConfig(num_points=n, num_foreground=n // 2).build(SIZES).eval() for n in (2, 30))
    many.load_state_dict(few.state_dict())
    features = features_for(SIZES)
    with torch.no_grad():
        assert torch.equal(few(features).points_xy_model[:, 0, 0], many(features).points_xy_model[:, 0, 0])


def test_its_option_is_checked():
    settings = make_settings(apm="peaks", apm_distance=0.2)
    assert settings.apm_config == PeaksConfig(kind=ApmKind.PEAKS, distance=0.2)
    with pytest.raises(SettingsError, match="--apm peaks: --apm-distance 0: expected more than 0"):
        make_settings(apm="peaks", apm_distance=0)
