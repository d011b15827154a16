"""The log of a training: each line is of an epoch, and the epochs are in order."""

from pathlib import Path

import pytest

from promise_seg.errors import CheckpointError
from promise_seg.learning.run_log import epochs_of, logged_epochs, read_log, rounded
from promise_seg.storage.sealed import sealed_line

LOG = Path("run/log.jsonl")


def test_a_log_that_was_moved_away_begins_with_a_later_epoch():
    assert epochs_of([{"epoch": 3}, {"epoch": 4}], LOG) == [3, 4]
    assert epochs_of([], LOG) == []


@pytest.mark.parametrize("lines", [[{}], [{"epoch": 0}], [{"epoch": "1"}], [{"epoch": 1}, {"epoch": 1}]])
def test_a_line_that_is_of_no_later_epoch_is_named(lines):
    with pytest.raises(
        CheckpointError, match=rf"log\.jsonl: cannot be read: line {len(lines)}: .*later epoch\. Restore"
    ):
        epochs_of(lines, LOG)


def test_a_changed_value_is_noticed(tmp_path):
    (tmp_path / "log.jsonl").write_text(sealed_line({"epoch": 1, "val_dice": 0.5}).replace("0.5", "0.7"))
    with pytest.raises(CheckpointError, match="line 1: its content was changed after it was written"):
        read_log(tmp_path / "log.jsonl")


@pytest.mark.parametrize(
    ("epochs", "words"), [([1, 2, 3], ""), ([1, 3], "has no line of epoch 2."), ([], "epoch 1, 2, 3.")]
)
def test_epochs_that_a_log_lost_are_named(tmp_path, caplog, epochs, words):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(sealed_line({"epoch": epoch}) for epoch in epochs))
    assert logged_epochs(path, 3) == epochs
    assert words in caplog.text
    assert bool(words) == bool(caplog.text)


@pytest.mark.parametrize(("value", "expected"), [(0.12345678, 0.123457), (float("nan"), None), ("score", "score")])
def test_what_is_no_number_is_left_out(value, expected):
    assert rounded(value) == expected
