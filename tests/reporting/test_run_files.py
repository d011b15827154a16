import json

import pytest

from promise_seg.checkpoint import save_checkpoint
from promise_seg.errors import CheckpointError
from promise_seg.reporting.run_files import read_run
from tests.helpers import make_model

LINE = {"epoch": 1, "val_dice": 0.5, "learning_rate": 1e-4}


@pytest.fixture
def run(tiny_sam, tmp_path):
    save_checkpoint(make_model(tiny_sam), tmp_path / "run" / "best")
    return tmp_path / "run"


def test_a_bare_sam_and_a_model_alone_have_nothing_beside_them(run):
    assert read_run(None).folder is None
    found = read_run(str(run))
    assert (found.folder, found.note, found.log, found.hours) == (run, None, (), None)


def test_settings_and_log_are_found_from_the_run_and_from_its_model(run):
    (run / "settings.json").write_text(json.dumps({"data_sha256": "d", "of_another_version": 1}))
    (run / "log.jsonl").write_text("\n".join(json.dumps(LINE | {"seconds": seconds}) for seconds in (1800, 5400)))
    for name in (run, run / "best"):
        found = read_run(str(name))
        assert found.note is not None
        assert (found.note.data_sha256, found.note.settings, found.note.environment) == ("d", None, None)
        assert found.hours == 2
        assert len(found.log) == 2


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [("settings.json", "{", "cannot be read"),
     ("log.jsonl", "[1]", "log.jsonl: cannot be read: line 1: it holds list, expected an object"),
     ("log.jsonl", json.dumps(LINE) + "\nno\n", "log.jsonl: cannot be read: line 2: Expecting value"),
     ("log.jsonl", '{"epoch": 1, "val_dice": 0.5}', "log.jsonl:1: not a log line of promise train: learning_rate")],
)  # fmt: skip
def test_damaged_files_are_named_with_a_way_out(run, name, text, words):
    (run / name).write_text(text)
    with pytest.raises(CheckpointError, match=rf"{name}.*Restore it, or move it away") as caught:
        read_run(str(run))
    assert words in str(caught.value)


@pytest.mark.parametrize("content", [None, ""])
def test_a_run_that_lost_its_log_says_so(run, content):
    assert read_run(str(run)).notes == []  # it is a model alone
    (run / "settings.json").write_text(json.dumps({"data_sha256": "d"}))
    if content is not None:
        (run / "log.jsonl").write_text(content)
    assert read_run(str(run)).notes == [
        f"{run / 'log.jsonl'}: has no epochs, so the report has no curves and no time of training"
    ]
    (run / "log.jsonl").write_text(json.dumps(LINE))
    assert read_run(str(run)).notes == []
