"""Events as lines of JSON: what is in them, several processes in one file, and files that cannot be written."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from promise_seg.errors import ImageError, SettingsError
from promise_seg.monitoring import json_log
from promise_seg.monitoring.hooks import happened, item_ended
from promise_seg.monitoring.monitored import monitored
from promise_seg.vocabulary import ItemOutcome

WRITER = """
import sys
from promise_seg.monitoring.hooks import item_ended
from promise_seg.monitoring.monitored import monitored
from promise_seg.vocabulary import ItemOutcome

with monitored(log_file=sys.argv[1]):
    for number in range(300):
        item_ended("predict", f"{sys.argv[2]}/{number}/" + "x" * 20_000, ItemOutcome.DONE, 0.5)
"""


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_all_that_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_RUN", "night")
    path = tmp_path / "log.jsonl"
    with monitored(log_file=path, work="predict"):
        item_ended("predict", "p1/a", ItemOutcome.DONE, 0.25)
        item_ended("predict", "p1/b", ItemOutcome.FAILED, None, ImageError("b.png: is no image"))
        happened("epoch", work="train", epoch=3, loss=float("nan"), name="a\udcff")
    item_ended("predict", "p1/c", ItemOutcome.DONE)
    begin, done, failed, epoch, end = lines_of(path)
    assert {one["run"] for one in (begin, done, failed, epoch, end)} == {"night"}
    assert {one["pid"] for one in (begin, end)} == {os.getpid()}
    assert done["time"].endswith("+00:00")
    assert done["host"]
    facts = {name: done[name] for name in ("level", "event", "work", "item", "seconds")}
    assert facts == {"level": "info", "event": "done", "work": "predict", "item": "p1/a", "seconds": 0.25}
    assert (failed["level"], failed["event"], failed["error"]) == ("error", "failed", "ImageError")
    assert failed["message"] == "b.png: is no image"
    assert (epoch["epoch"], epoch["loss"]) == (3, None)
    assert (begin["event"], end["event"]) == ("begin", "end")
    assert "error" not in end


def test_the_end_says_which_error_there_was(tmp_path):
    path = tmp_path / "log.jsonl"
    with pytest.raises(KeyError), monitored(log_file=path):
        raise KeyError("x")
    assert lines_of(path)[-1]["error"] == "KeyError"
    assert lines_of(path)[-1]["level"] == "error"


@pytest.mark.slow
def test_several_processes_write_whole_lines_into_one_file(tmp_path):
    path = tmp_path / "log.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(number)]) for number in range(3)]
    assert [one.wait() for one in writers] == [0, 0, 0]
    items = [line["item"][:-20_000] for line in lines_of(path) if line["event"] == "done"]
    assert sorted(items) == sorted(f"{writer}/{number}/" for writer in range(3) for number in range(300))


def test_a_folder_gets_a_file_of_each_process(tmp_path):
    with monitored(log_file=tmp_path):
        pass
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(f"-{os.getpid()}.jsonl")
    assert [line["event"] for line in lines_of(path)] == ["begin", "end"]


def test_an_address_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"--log-file s3://bucket/logs/: is an address; expected a file"):
        monitored(log_file="s3://bucket/logs/").__enter__()
    assert not list(tmp_path.iterdir())


def test_a_folder_with_a_slash_at_its_end_is_made(tmp_path):
    with monitored(log_file=f"{tmp_path}/logs/today/"):
        pass
    (path,) = (tmp_path / "logs" / "today").iterdir()
    assert [line["event"] for line in lines_of(path)] == ["begin", "end"]
    with pytest.raises(SettingsError, match=r"--log-file .*: the folder cannot be made: File exists"):
        monitored(log_file=f"{path}/").__enter__()


def test_standard_output(capsys):
    with monitored(log_file="-"):
        happened("part", part="1/2")
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == ["begin", "part", "end"]


def test_logs_within_logs_have_each_event_once(tmp_path):
    outer, inner = tmp_path / "outer.jsonl", tmp_path / "inner.jsonl"
    logger, heard = logging.getLogger(json_log.LOGGER), []
    own = logging.Handler()
    own.emit = heard.append
    logger.addHandler(own)
    with monitored(log_file=outer, work="outer"):
        with monitored(log_file=inner, work="inner"):
            happened("both")
        happened("one")
    logger.removeHandler(own)
    assert [line["event"] for line in lines_of(inner)] == ["begin", "both", "end"]
    assert [line["event"] for line in lines_of(outer)] == ["begin", "begin", "both", "end", "one", "end"]
    assert [record.getMessage() for record in heard].count("both") == 1
    assert (logger.propagate, logger.handlers) == (True, [])


def test_an_empty_name_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="--log-file: is empty; expected a file"):
        monitored(log_file="").__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_opened_is_an_error_before_the_work(tmp_path):
    with pytest.raises(SettingsError, match=r"--log-file .*cannot be written: No such file or directory"):
        monitored(log_file=tmp_path / "nowhere" / "log.jsonl").__enter__()


def test_a_full_disk_does_not_end_the_work(tmp_path, capsys, monkeypatch):
    def full(handle, content):
        raise OSError(28, "No space left on device")

    with monitored(log_file=tmp_path / "log.jsonl"):
        monkeypatch.setattr(json_log.os, "write", full)
        happened("one")
        happened("two")
        monkeypatch.undo()
    assert capsys.readouterr().err.count("No space left on device") == 1
    assert [line["event"] for line in lines_of(tmp_path / "log.jsonl")] == ["begin", "end"]


def test_after_a_torn_line_the_next_one_is_whole(tmp_path, monkeypatch):
    path, write = tmp_path / "log.jsonl", os.write
    with monitored(log_file=path):
        monkeypatch.setattr(json_log.os, "write", lambda handle, content: write(handle, content[:10]))
        happened("torn")
        monkeypatch.undo()
    begin, torn, end = path.read_text().splitlines()
    assert len(torn) == 10
    assert [json.loads(line)["event"] for line in (begin, end)] == ["begin", "end"]


def test_the_logger_is_left_as_it_was(tmp_path):
    logger = logging.getLogger(json_log.LOGGER)
    before = (logger.level, logger.propagate, list(logger.handlers))
    with monitored(log_file=tmp_path / "log.jsonl"):
        assert logger.handlers
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
