"""Messages on what differs between two runs, in the words of their user."""

import pytest

from promise_seg.arguments import running_command
from promise_seg.images.reading import make_reading
from promise_seg.learning.run_identity import RunIdentity
from promise_seg.learning.settings import make_settings


def identity(reading=None, **settings):
    return RunIdentity(
        settings=make_settings(**settings), data_sha256="d", order_sha256="o", sam_sha256="s", image_size=64,
        reading=make_reading(**reading or {}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"variant": "apm+ips", "epochs": 3}, {"variant": "ips", "epochs": 3}, "variant (apm+ips there, ips now)"),
        ({"views": 1}, {"views": 8}, "views (1 there, 8 now)"),
        ({"apm": "peaks", "apm_distance": 0.25}, {"apm": "peaks"}, "apm_distance (0.25 there, default now)"),
        ({"num_points": 4}, {"num_points": 6}, "points (4 there, 6 now)"),
    ],
)
def test_options_are_named_and_nothing_that_follows_from_them(before, now, words):
    apm = {"apm": "heatmap"} if "num_points" in now else {}
    changed = identity(**apm | now).changes_since(identity(**apm | before))
    assert words in changed
    options = {"variant", "views", "apm_distance", "points", "foreground", "batch_size"}
    assert {each.split(" ")[0] for each in changed} <= options


def test_a_command_names_its_own_options():
    with running_command():
        assert identity(learning_rate=0.1).changes_since(identity(learning_rate=0.2)) == [
            "--learning-rate (0.2 there, 0.1 now)"
        ]


def test_options_for_reading_are_listed_for_both_runs():
    changed = identity({"window": "percentile", "tile": 64}).changes_since(identity({"window": "percentile"}))
    there, now = "--window percentile", "--window percentile --tile 64 --overlap"
    assert len(changed) == 1
    assert changed[0].startswith(f"how files are read ({there} there, {now}")
    (changed,) = identity({"label": 3}).changes_since(identity())
    assert changed == "how files are read (no options there, --class 3 now)"


def test_a_setting_that_is_no_option_is_named_if_nothing_else_differs():
    changed = identity(edge_weight=0.5).changes_since(identity(edge_weight=2.0))
    assert changed == ["edge_weight (2.0 there, 0.5 now)"]
