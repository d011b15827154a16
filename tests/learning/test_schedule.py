"""One schedule for all that is trained here; the numbers of published runs depend on its last digit."""

import math

import pytest
import torch

from promise_seg.learning.pretraining import PretrainSettings
from promise_seg.learning.schedule import cosine_rate, set_rate, warm_up

TOTALS = [1, 7, 200, 3800]


@pytest.mark.parametrize("total", TOTALS)
def test_rates_are_to_the_last_digit_those_of_the_formulas_that_runs_were_made_with(total):
    settings = PretrainSettings(steps=total)
    for step in range(total):
        warm = max(1, round(0.05 * total))
        training = 5e-4 * min(1.0, (step + 1) / warm) * (0.495 * (1 + math.cos(math.pi * step / total)) + 0.01)
        assert cosine_rate(5e-4, step, total, floor=0.01, rise=warm_up(step, warm)) == training
        pretraining = 2e-3 * min(1.0, (step + 1) / 200) * (0.49 * (1 + math.cos(math.pi * step / total)) + 0.02)
        assert settings.rate_at(step) == pretraining
        share = step / total
        assert cosine_rate(1e-3, share, 1, floor=0.01) == 1e-3 * (0.495 * (1 + math.cos(math.pi * share)) + 0.01)


@pytest.mark.parametrize("total", TOTALS)
def test_without_a_warm_up_it_is_torch_s_cosine(total):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total, eta_min=0.3 * 0.01)
    for step in range(total + 1):
        assert cosine_rate(0.3, step, total, floor=0.01) == pytest.approx(torchs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        torchs.step()


def test_a_warm_up_rises_to_the_peak_and_stays_there():
    assert [warm_up(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_all_parameters_of_all_optimizers_get_the_rate():
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(3)]
    optimizers = [torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:2]}]), torch.optim.Adam(weights[2:])]
    set_rate(optimizers, 0.125)
    assert [group["lr"] for optimizer in optimizers for group in optimizer.param_groups] == [0.125] * 3
