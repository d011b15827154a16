"""Progress as plain lines in a file or a pipe."""

import pytest

from promise_seg.cli.plain_progress import PlainStages


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def lines():
    return []


@pytest.fixture
def progress(now, lines):
    return PlainStages(lines.append, clock=lambda: now[0])


def test_a_quick_stage_has_one_line_at_its_end(progress, lines):
    for done in range(1, 101):
        progress("checking", done, 100)
    assert lines == ["checking: 100 of 100"]


def test_a_long_stage_has_a_line_soon_and_every_half_minute(progress, lines, now):
    for done in range(1, 101):
        now[0] += 2
        progress("training", done, 100, f"epoch {1 + done // 50}/2")
    assert lines[0] == "training: 1 of 100, epoch 1/2"
    assert lines[1] == "training: 16 of 100, epoch 1/2, about 3 min left"
    assert lines[-1] == "training: 100 of 100, epoch 3/2"
    assert len(lines) == 8


def test_the_score_after_the_last_step_is_told(progress, lines):
    progress("training", 1, 2, "epoch 1/2")
    progress("training", 2, 2, "epoch 2/2")
    progress("training", 2, 2, "epoch 2/2")
    progress("training", 2, 2, "epoch 2/2, best val Dice 0.700")
    assert lines == ["training: 2 of 2, epoch 2/2", "training: 2 of 2, epoch 2/2, best val Dice 0.700"]


def test_a_stage_that_starts_again_and_again_does_not_fill_the_file(progress, lines, now):
    for volume in range(100):
        for done in (1, 2, 3):
            now[0] += 0.2
            progress("predicting", done, 3, f"volume {volume}")
    assert lines[0] == "predicting: 3 of 3, volume 0"
    assert len(lines) == 2
