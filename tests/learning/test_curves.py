"""The picture of a training's log shows what is in the log."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import CheckpointError
from promise_seg.learning import curves
from promise_seg.learning.curves import figure_of
from promise_seg.storage.sealed import sealed_line

pytestmark = pytest.mark.usefixtures("real_curves")
LINES = [
    {"epoch": 1, "mask": 0.9, "point": 0.2, "learning_rate": 1e-3, "val_dice": 0.4},
    {"epoch": 2, "mask": None, "point": 0.1, "learning_rate": 5e-4},  # a mean loss that was no number
    {"epoch": 4, "mask": 0.3, "point": 0.05, "learning_rate": 1e-4, "val_dice": 0.75},
    {"epoch": 5, "mask": 0.2, "point": 0.04, "learning_rate": 0.0, "val_dice": 0.7},
]


@pytest.fixture
def drawn(tmp_path):
    """Draw a log with these lines; every warning is an error."""

    def draw(lines):
        (tmp_path / "log.jsonl").write_text("".join(map(sealed_line, lines)))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            curves.draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
        with Image.open(tmp_path / "curves.png") as picture:
            assert picture.format == "PNG"
            return np.asarray(picture.convert("RGB"))

    return draw


def series(axes):
    """The points of each line of a diagram by its label, and of those without one by their number."""
    return {line.get_label(): [tuple(point) for point in line.get_xydata()] for line in axes.lines}


def test_losses_dice_and_learning_rate_are_the_series_of_the_log():
    losses, dice, rate = figure_of(LINES).axes
    assert [axes.get_title() for axes in (losses, dice, rate)] == [
        "training losses", "mean Dice on val rows", "learning rate"
    ]  # fmt: skip
    found = series(losses)
    assert list(found) == ["mask", "point"]
    assert found["point"] == [(1, 0.2), (2, 0.1), (4, 0.05), (5, 0.04)]
    assert [found["mask"][place] for place in (0, 2, 3)] == [(1, 0.9), (4, 0.3), (5, 0.2)]
    assert np.isnan(found["mask"][1][1])
    curve, best = series(dice).values()
    assert curve == [(1, 0.4), (4, 0.75), (5, 0.7)]
    assert best == [(4, 0.75)]
    assert [text.get_text() for text in dice.get_legend().get_texts()] == ["best 0.750, epoch 4"]
    (learned,) = series(rate).values()
    assert learned == [(1, 1e-3), (2, 5e-4), (4, 1e-4), (5, 0.0)]


def test_scored_epochs_are_marked_at_their_place_among_all_epochs():
    _, dice, rate = figure_of([{"epoch": n, "mask": 0.5, "learning_rate": 1e-3} for n in range(1, 9)] + LINES[-1:]).axes
    assert dice.get_xlim() == rate.get_xlim()
    assert dice.lines[0].get_marker() == "."


@pytest.mark.parametrize("low", [0.1, 0.5])
def test_the_legend_of_dice_is_drawn_beside_the_curve(low):
    figure = figure_of([{"epoch": n, "mask": 0.5, "learning_rate": 1e-3, "val_dice": low} for n in range(1, 9)])
    figure.canvas.draw()
    dice = figure.axes[1]
    legend = dice.get_legend().get_window_extent()
    assert not any(legend.contains(*dice.transData.transform((n, low))) for n in range(1, 9))


def test_the_picture_is_a_png_in_which_something_is_drawn(drawn):
    full, nothing = drawn(LINES), drawn([])
    assert full.shape == nothing.shape == (352, 1210, 3)
    assert (full != nothing).any(axis=-1).sum() > 500


def test_a_run_without_scores_or_finite_losses_is_drawn_too(drawn):
    drawn([{"epoch": 1, "mask": 0.5, "learning_rate": 1e-3}])
    drawn([{"epoch": epoch, "mask": None, "learning_rate": 1e-3} for epoch in (1, 2)])


def test_a_damaged_log_is_refused_and_the_picture_before_stays(drawn, tmp_path):
    drawn(LINES)
    before = (tmp_path / "curves.png").read_bytes()
    line = json.loads(sealed_line(LINES[0])) | {"val_dice": 0.9}
    (tmp_path / "log.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(CheckpointError, match=r"log\.jsonl: cannot be read: line 1"):
        curves.draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes() == before


def test_there_are_no_ticks_between_epochs():
    for axes in figure_of(LINES[:2]).axes:
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


@pytest.mark.parametrize(("low", "ticks"), [(0.75, {"0.8", "0.9"}), (0.004, {"0.01", "0.1", "0.5"})])
def test_losses_are_labelled_with_decimal_numbers(low, ticks):
    figure = figure_of([{"epoch": epoch, "mask": loss, "learning_rate": 1e-3} for epoch, loss in ((1, 0.95), (2, low))])
    losses = figure.axes[0]
    figure.canvas.draw()
    shown = [text.get_text() for text in losses.get_yticklabels(which="both") if text.get_text()]
    assert ticks <= set(shown)
    assert not [text for text in shown if "$" in text]
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (log scale)", "Dice", "learning rate"]
