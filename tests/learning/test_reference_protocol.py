"""Training by the published procedure."""

import json

import pytest
import torch

from promise_seg.learning.objective import training_losses
from promise_seg.learning.settings import TrainSettings, make_settings
from promise_seg.learning.training import TrainingRun
from promise_seg.learning.training_set import Draw, collate
from promise_seg.model import ModelOutput
from promise_seg.sam.backbone import Decoded
from promise_seg.vocabulary import ApmKind, PositionCode, Protocol, Recipe
from tests.learning.runs import log, start


def test_the_reference_s_protocol_as_settings():
    settings = make_settings(protocol=Protocol.REFERENCE, variant="apm+ips")
    assert (settings.optimizer, settings.learning_rate, settings.batch_size, settings.epochs) == ("adam", 1e-5, 8, 200)
    assert (settings.apm, settings.learns_from_oracle) == (ApmKind.RESNET, False)
    assert settings.augmentation == Recipe.REFERENCE
    assert make_settings(protocol=Protocol.REFERENCE, epochs=3).epochs == 3
    assert make_settings(protocol=Protocol.REFERENCE, apm="cross").apm_config.position_code == PositionCode.REFERENCE
    assert make_settings(apm="cross").apm_config.position_code == PositionCode.GEOMETRIC
    assert make_settings(variant="ips", protocol=Protocol.REFERENCE, apm="cross").apm_config is None


@pytest.mark.slow
def test_the_reference_s_protocol_in_a_run(checked, tiny_sam, store, accelerator, tmp_path):
    preset = make_settings(protocol="reference", epochs=2, batch_size=2).model_dump()
    TrainingRun(tmp_path / "run", checked, tiny_sam, store, TrainSettings(**preset), accelerator).run()
    lines = log(tmp_path / "run")
    assert {line["learning_rate"] for line in lines} == {1e-5}
    assert {line["mask_choice"] for line in lines} == {"0"}
    assert "point" not in lines[0]
    assert "saliency" not in lines[0]
    assert len(json.loads((tmp_path / "run/settings.json").read_text())["protocol_deviations"]) > 5


def test_the_second_sigmoid_hides_most_of_the_loss(checked, tiny_sam, store, accelerator, tmp_path):
    """With 5 % of the image covered, a perfect mask and an empty one differ by 4 % in loss; without it by all of it."""
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator, variant="ips", protocol="reference")
    target = torch.zeros(1, 32, 32)
    target[0, 4:8, 10:23] = 1
    assert target.mean() == pytest.approx(0.05, abs=0.001)
    batch = collate([run.training_set[Draw(0, 0, (0,))]])._replace(target=target, oracle_target=target)
    perfect = torch.where(target > 0, 20.0, -20.0)[:, None, None].repeat(1, 1, 3, 1, 1)

    def loss(mask_logits):
        output = ModelOutput(None, (Decoded(mask_logits, torch.zeros(1, 1, 3)),), None)
        return float(training_losses(output, batch, run.settings, 32)["mask"])

    empty = torch.full_like(perfect, -20.0)
    assert 1 - loss(perfect) / loss(empty) == pytest.approx(0.04, abs=0.005)
    without = run.settings.model_copy(update={"protocol": Protocol.OWN})
    plain = training_losses(ModelOutput(None, (Decoded(perfect, torch.zeros(1, 1, 3)),), None), batch, without, 32)
    assert float(plain["mask"]) == pytest.approx(0, abs=1e-3)
    other_masks = torch.cat([perfect[:, :, :1], empty[:, :, 1:]], 2)
    assert loss(other_masks) == pytest.approx(loss(perfect), abs=1e-6)  # the first mask alone counts


def test_weights_given_explicitly_count_under_any_protocol(checked, tiny_sam, store, accelerator, tmp_path):
    settings = {"protocol": "reference", "variant": "apm", "point_weight": 1.0, "saliency_weight": 0.0}
    start(tmp_path / "run", checked, tiny_sam, store, accelerator, **settings).run()
    assert all("point" in line and "saliency" not in line for line in log(tmp_path / "run"))
