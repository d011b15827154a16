import pytest

from promise_seg.errors import SettingsError
from promise_seg.reporting.options import pick_prompts
from promise_seg.vocabulary import Variant
from tests.helpers import make_model


def test_own_points_come_first_where_there_are_any(tiny_sam):
    assert pick_prompts([], make_model(tiny_sam)) == ("apm", "oracle")
    assert pick_prompts([], make_model(tiny_sam, Variant.IPS)) == ("oracle",)


def test_what_is_named_is_taken_once_and_in_its_order(tiny_sam):
    assert pick_prompts(["box", "apm", "box"], make_model(tiny_sam)) == ("box", "apm")


def test_what_cannot_be_made_is_refused(tiny_sam):
    with pytest.raises(SettingsError, match="--prompts luck: expected apm, oracle, box, none"):
        pick_prompts(["luck"], make_model(tiny_sam))
    with pytest.raises(SettingsError, match="no auto-prompting module"):
        pick_prompts(["apm"], make_model(tiny_sam, Variant.IPS))
