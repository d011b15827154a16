"""The rule for volumes as a part of checkpoints."""

import json

import pytest

from promise_seg.model import ModelConfig
from promise_seg.rules.volume_rule import EACH_SLICE, VolumeRule, rule_for
from promise_seg.vocabulary import Slices
from tests.helpers import make_model


def test_a_model_without_a_rule_is_the_model_that_it_was(tiny_sam):
    """Its hash is that of before there were rules: what was noted of it stays valid."""
    config = make_model(tiny_sam).config
    values = json.loads(config.model_dump_json())
    del values["volumes"]
    old = ModelConfig.of_any_version(values, "config.json")
    assert old.volumes is None
    assert old.sha256_with("state") == config.sha256_with("state")
    assert not rule_for(old.volumes, Slices.AUTO).changes
    ruled = config.model_copy(update={"volumes": VolumeRule(keep="largest")})
    assert ruled.sha256_with("state") != config.sha256_with("state")


@pytest.mark.parametrize("slices", ["each", "blend", "agree"])
def test_a_rule_comes_back_from_a_file(tiny_sam, slices):
    rule = VolumeRule(slices=slices, carried=0.3, blend_mm=2.5, step_mm=5, least_mm3=40, keep="largest")
    config = make_model(tiny_sam).config.model_copy(update={"volumes": rule})
    found = ModelConfig.of_any_version(json.loads(config.model_dump_json()), "config.json")
    assert found == config
    assert found.volumes.slices is Slices(slices)
    assert rule.changes


def test_what_a_user_asks_for_keeps_what_is_done_in_3d():
    chosen = VolumeRule(slices="agree", carried=0.3, keep="largest")
    assert rule_for(chosen, Slices.AUTO) == chosen
    assert rule_for(chosen, Slices.EACH) == chosen.model_copy(update={"slices": Slices.EACH})
    assert rule_for(None, Slices.AUTO) == EACH_SLICE
    assert rule_for(None, Slices.BLEND).sigma_mm(5.0) == 5.0
    assert rule_for(None, Slices.AGREE).sigma_mm(5.0) == 2.5
    assert EACH_SLICE.sigma_mm(5.0) == 0


def test_words_name_what_differs():
    assert EACH_SLICE.words == "slices segmented separately"
    assert VolumeRule(slices="blend", blend_mm=2.5, least_mm3=40).words == (
        "slices blended, a Gaussian kernel along the stack with a standard deviation of 2.5 mm, "
        "components below 40 mm³ removed"
    )
    words = VolumeRule(slices="agree", fill_holes=True, keep="largest").words
    assert "half the slice spacing" in words
    assert words.endswith("cavities filled, only the largest component kept")
