"""The index of logs knows the last word on each image, and takes little memory."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from promise_seg.images.exports.input_list import InputList
from promise_seg.images.exports.inputs import Input
from promise_seg.parts import Part
from promise_seg.prediction.part_index import PartIndex
from promise_seg.prediction.part_logs import ALL_LOGS, Entry, LogReader, PartLog

ROOT = Path(__file__).resolve().parents[2]
STEMS = ["a", "b", "c", "d"]


@pytest.fixture
def inputs():
    return InputList(Input(Path(f"{stem}.png"), stem) for stem in STEMS)


def entry(stem, at, problem="", image="name"):
    return Entry(stem, f"/{stem}", image, at, [[1, 2]], [] if problem else [{"mask": "m"}], problem)


def as_then(number, entry):
    return True


def test_the_last_word_counts(inputs, tmp_path):
    one, other = PartLog(tmp_path, Part(1, 2)), PartLog(tmp_path, Part(2, 2))
    for log, line in (
        (one, entry("a", 1.0)), (one, entry("b", 2.0)), (other, entry("b", 3.0, "damaged")), (one, entry("c", 5.0)),
        (other, entry("c", 4.0, "damaged")), (other, entry("c", 3.0, image="old")), (one, entry("other", 9.0)),
    ):  # fmt: skip
        log.add(line)
    index, reader = PartIndex(inputs), LogReader(tmp_path)
    index.take_in(reader, ALL_LOGS, as_then)
    assert index.missing().tolist() == [1, 3]
    assert [index.latest(number) for number in range(4)] == [1.0, 3.0, 5.0, None]
    assert index.entry(1, reader) == entry("b", 2.0)
    assert index.has_failed_since(1)
    assert index.entry(2, reader) == entry("c", 5.0)
    assert index.entry(3, reader) is None
    assert [index.number(stem) for stem in (*STEMS, "other")] == [0, 1, 2, 3, None]
    less = index.narrowed(index.missing())
    assert list(less.inputs.stems()) == ["b", "d"]
    assert less.entry(0, reader) == entry("b", 2.0)
    one.add(entry("d", 6.0))
    less.take_in(reader, ALL_LOGS, lambda number, entry: (number, entry.stem) == (1, "d"))
    assert less.missing().tolist() == [0]
    less.forget(0)
    assert less.entry(0, reader) is None
    index.take_in(LogReader(tmp_path), ALL_LOGS, lambda number, entry: False)  # files have changed since
    assert index.missing().tolist() == [0, 1, 2, 3]


def test_images_whose_stems_have_one_hash_are_told_apart(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.hash", lambda stem: 7)
    index = PartIndex(inputs)
    assert [index.number(stem) for stem in (*STEMS, "other")] == [0, 1, 2, 3, None]


def test_lines_that_are_told_are_held(inputs, tmp_path):
    index = PartIndex(inputs, holds=True)
    index.give(1, entry("b", 2.0), 3.0)
    index.give(2, None, None)
    assert index.entry(1, LogReader(tmp_path)) == entry("b", 2.0)
    assert (index.latest(1), index.latest(2)) == (3.0, None)
    PartLog(tmp_path, Part(1, 1)).add(entry("b", 4.0))
    reader = LogReader(tmp_path)
    index.take_in(reader, ALL_LOGS, as_then)
    assert index.entry(1, reader) == entry("b", 4.0)


@pytest.mark.slow
def test_images_take_little_memory():
    command = [sys.executable, "-m", "benchmarks.fleet_bookkeeping", "--images", "100000"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    part, all_of_them = printed.splitlines()[-2:]
    assert part.endswith("125 of 12,500 images are missing")
    assert all_of_them.endswith("1,000 of 100,000 images are missing")
    for line in (part, all_of_them):  # it was 17 MiB
        found = re.search(r" ([0-9,]+) MiB more than before", line)
        assert found is not None, line
        assert int(found[1].replace(",", "")) < 100
