"""Views in which light and dark change places: how many there are, and when a training learns from them."""

import numpy as np
import pytest

from promise_seg.errors import SettingsError
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training_set import Draw
from promise_seg.workflows.training_settings import first_notes
from tests.learning.runs import start


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_inverted_views_is_as_wanted(share, checked, tiny_sam, store, accelerator, tmp_path):
    run = start(
        tmp_path / "run", checked, tiny_sam, store, accelerator, apm="pretrained", apm_options={"side": 64},
        inverted_views=share, decoder_interval=2, views=1,
    )  # fmt: skip
    views = [run.training_set._new_view(Draw(0, 0, (0, epoch, 0), for_maps=True)).view for epoch in range(100)]
    inverted = sum(view.contrast < 0 for view in views)
    assert abs(inverted / 100 - share) < 0.1 if 0 < share < 1 else inverted == 100 * share


def test_views_without_an_inverted_share_are_those_of_runs_from_before(checked, tiny_sam, store, accelerator, tmp_path):
    options = {"apm": "pretrained", "apm_options": {"side": 64}, "mixes_views": True, "decoder_interval": 2, "views": 1}
    old, inverted = (
        start(tmp_path / str(share), checked, tiny_sam, store, accelerator, inverted_views=share, **options)
        for share in (0.0, 1.0)
    )
    for epoch in range(5):
        draw = Draw(0, 0, (0, epoch, 0), for_maps=True)
        before, after = (run.training_set._new_view(draw).view for run in (old, inverted))
        assert before == after.inverted()
        assert before.contrast > 0


@pytest.mark.parametrize("share", [-0.1, 1.5, np.nan])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(SettingsError, match="--inverted-views"):
        make_settings(apm="pretrained", inverted_views=share)


@pytest.mark.parametrize(
    ("settings", "is_told"),
    [
        ({"apm": "pretrained"}, False),
        ({"apm": "pretrained", "apm_frozen": True}, True),
        ({"apm": "pretrained", "augmentation": "light"}, True),
        ({"apm": "pretrained", "train_also": "everything"}, True),
        ({"apm": "heatmap"}, True),
        ({"variant": "ips"}, True),
    ],
)
def test_where_no_view_is_drawn_anew_the_option_is_said_to_have_no_effect(settings, is_told):
    given = {"apm": None, "point_weight": None, "saliency_weight": None, "inverted_views": 0.3}
    notes = list(first_notes(make_settings(**settings, inverted_views=0.3), None, given))
    assert ["--inverted-views 0.3 has no effect: " in note for note in notes] == [True] * is_told
