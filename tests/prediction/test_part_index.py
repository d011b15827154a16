"""The index of logs knows the last word on each image, and takes little memory."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from promise_seg.images.exports.input_list import InputList
from promise_seg.images.exports.inputs import Input
from promise_seg.parallel.parts import Part
from promise_seg.parallel.workers import Workers
from promise_seg.prediction import part_index, part_logs, recorded
from promise_seg.prediction.line_outlines import outline_of
from promise_seg.prediction.part_files import PartFiles
from promise_seg.prediction.part_index import PartIndex
from promise_seg.prediction.part_logs import ALL_LOGS, Entry, LogReader, PartLog

ROOT = Path(__file__).resolve().parents[2]
STEMS = ["a", "b", "c", "d"]


@pytest.fixture
def inputs():
    return InputList(Input(Path(f"{stem}.png"), stem) for stem in STEMS)


@pytest.fixture
def files(tmp_path):
    return PartFiles(tmp_path, has_objects=False)


def entry(stem, at, problem="", image="name"):
    return Entry(stem, f"/{stem}", image, at, [[1, 2]], [] if problem else [{"mask": "m"}], problem)


def as_then(number, entry):
    return True


def test_the_last_word_counts(inputs, tmp_path, files):
    one, other = PartLog(tmp_path, Part(1, 2)), PartLog(tmp_path, Part(2, 2))
    for log, line in (
        (one, entry("a", 1.0)), (one, entry("b", 2.0)), (other, entry("b", 3.0, "damaged")), (one, entry("c", 5.0)),
        (other, entry("c", 4.0, "damaged")), (other, entry("c", 3.0, image="old")), (one, entry("other", 9.0)),
    ):  # fmt: skip
        log.add(line)
    index, reader = PartIndex(inputs), LogReader(tmp_path)
    index.take_in(reader, ALL_LOGS, as_then, files)
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
    less.take_in(reader, ALL_LOGS, lambda number, entry: (number, entry.stem) == (1, "d"), files)
    assert less.missing().tolist() == [0]
    less.forget(0)
    assert less.entry(0, reader) is None
    index.take_in(LogReader(tmp_path), ALL_LOGS, lambda number, entry: False, files)  # files have changed since
    assert index.missing().tolist() == [0, 1, 2, 3]


def test_images_whose_stems_have_one_hash_are_told_apart(inputs, tmp_path, files, monkeypatch):
    log = PartLog(tmp_path, Part(1, 1))
    for number, stem in enumerate(["d", "a", "other", "b"]):
        log.add(entry(stem, 1.0 + number))
    monkeypatch.setattr("builtins.hash", lambda stem: 7)
    index = PartIndex(inputs)
    assert [index.number(stem) for stem in (*STEMS, "other")] == [0, 1, 2, 3, None]
    index.take_in(LogReader(tmp_path), ALL_LOGS, as_then, files)
    assert [index.latest(number) for number in range(4)] == [2.0, 4.0, None, 1.0]


def test_lines_that_are_told_are_held(inputs, tmp_path, files):
    index = PartIndex(inputs, holds=True)
    index.give(1, entry("b", 2.0), 3.0)
    index.give(2, None, None)
    assert index.entry(1, LogReader(tmp_path)) == entry("b", 2.0)
    assert (index.latest(1), index.latest(2)) == (3.0, None)
    PartLog(tmp_path, Part(1, 1)).add(entry("b", 4.0))
    reader = LogReader(tmp_path)
    index.take_in(reader, ALL_LOGS, as_then, files)
    assert index.entry(1, reader) == entry("b", 4.0)


@pytest.mark.parametrize("numbers", [range(0, 300, 3), [7, 9, 11, 290, 2, 13, 298, 299, 1, 5, 6], [*range(40, 300), 3]])
def test_images_are_found_in_whatever_order_logs_have_them(numbers, tmp_path, files):
    stems = [f"{number:03}" for number in range(300)]
    inputs, log = InputList(Input(Path(f"{stem}.png"), stem) for stem in stems), PartLog(tmp_path, Part(1, 1))
    for number in numbers:
        log.add(entry(stems[number], 1.0 + number))
    log.add(entry("of another list", 1.0))
    index = PartIndex(inputs)
    index.take_in(LogReader(tmp_path), ALL_LOGS, lambda number, entry: int(entry.stem) == number, files)
    assert set(index.missing().tolist()) == set(range(300)) - set(numbers)
    assert all(index.latest(number) == 1.0 + number for number in numbers)


def test_outlines_and_whole_lines_take_turns_on_an_image(tmp_path, files):
    for folder in ("images", "masks", "overlays"):
        (tmp_path / folder).mkdir()
        for number in range(6):
            (tmp_path / folder / f"{number}.png").write_bytes(b"content")
    inputs = InputList(Input(tmp_path / "images" / f"{number}.png", str(number)) for number in range(6))
    log, stems = PartLog(tmp_path, Part(1, 1)), list(inputs.stems())

    def write(number, at, mask="masks/{}.png", key=None, **other):
        lines = [{"mask": mask.format(number)}]
        facts = {"state": inputs[number].state(), "problem": "", "lines": lines} | other
        log.add(Entry(stems[number], key or inputs.key(number), "name", at, **facts))

    write(0, 1.0)
    write(1, 1.0, state=[[7, 1]])  # changed since
    write(1, 2.0)
    write(2, 1.0)
    write(2, 2.0, state=[[7, 1]])
    write(3, 1.0)
    write(3, 2.0, mask="elsewhere/{}.png")  # read whole, and judged by itself
    write(4, 2.0, mask="elsewhere/{}.png")
    write(4, 3.0)
    write(5, 1.0, key="/another.png")
    index, reader = PartIndex(inputs), LogReader(tmp_path)
    lines = log.path.read_bytes().splitlines(keepends=True)
    assert [outline_of(line) is not None for line in lines[1:]] == [True] * 6 + [False] * 2 + [True] * 2
    index.take_in(reader, ALL_LOGS, lambda number, entry: False, files)
    assert index.missing().tolist() == [2, 3, 5]
    assert index.entry(4, reader).lines == [{"mask": "masks/4.png"}]
    write(3, 4.0)
    (tmp_path / "masks" / "3.png").unlink()
    index.take_in(reader, ALL_LOGS, lambda number, entry: True, files)
    assert index.missing().tolist() == [2, 3, 5]
    (tmp_path / "masks" / "3.png").touch()
    write(3, 5.0)
    index.take_in(reader, ALL_LOGS, lambda number, entry: True, files)
    assert index.missing().tolist() == [2, 5]


@pytest.fixture
def many_lines(tmp_path):
    """A folder with the logs of many images, of which some were predicted several times, and lines of all forms."""
    for folder in ("images", "masks/in", "overlays/in"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(60):
            (tmp_path / folder / f"{number:02}.png").write_bytes(b"content")
    inputs = InputList(Input(tmp_path / f"images/{number:02}.png", f"in/{number:02}") for number in range(60))
    logs, draw = [PartLog(tmp_path, Part(number, 3)) for number in (1, 2, 3)], random.Random(0)
    for _ in range(200):
        number = draw.randrange(60)
        one, kind = inputs[number], draw.choice(["usual"] * 8 + ["failed", "elsewhere", "changed", "other key"])
        state, key = [[7, 1]] if kind == "changed" else one.state(), "/other.png" if kind == "other key" else one.key
        lines = [{"mask": f"{'elsewhere' if kind == 'elsewhere' else 'masks'}/{one.stem}.png"}]
        what = ([], "damaged") if kind == "failed" else (lines, "")
        draw.choice(logs).add(Entry(one.stem, key, one.name, draw.uniform(1, 9), state, *what))
    damaged = logs[1].path.read_bytes().replace(b"images/1", b"images/2", 7)
    logs[1].path.write_bytes(damaged + b'{"at": 1.0, "being written')
    for gone in ("masks/in/07.png", "overlays/in/08.png", "images/09.png"):
        (tmp_path / gone).unlink()
    return inputs


def all_that_is_found(inputs, folder, files):
    """All that an index knows of images and their logs, and the lines that were judged."""
    judged, reader, index = [], LogReader(folder), PartIndex(inputs)
    index.take_in(reader, ALL_LOGS, lambda number, entry: judged.append((number, entry)) or number % 2 == 0, files)
    of_images = [(index.latest(number), index.entry(number, reader)) for number in range(len(inputs))]
    return index.missing().tolist(), of_images, judged, reader.ends, reader.damaged, reader.headers


@pytest.mark.parametrize("at_once", [100, 5000, 1 << 22])
def test_several_processes_find_what_one_does(many_lines, at_once, tmp_path, files, monkeypatch):
    monkeypatch.setattr(part_logs, "_BYTES_AT_ONCE", at_once)
    monkeypatch.setattr(recorded, "_TOGETHER", 7)
    seen, counts = [], []
    monkeypatch.setattr(part_index, "Workers", lambda count: counts.append(count) or Workers(count))
    for is_much, processors in ((1 << 40, 2), (0, 1), (0, 2)):
        monkeypatch.setattr(part_index, "_WORTH_WORKERS", is_much)
        monkeypatch.setattr(part_index, "cores", lambda processors=processors: processors)
        seen.append(all_that_is_found(many_lines, tmp_path, files))
    assert counts == [1, 1, 2]
    assert seen[0] == seen[1] == seen[2]
    missing, _, judged, ends, damaged, headers = seen[0]
    assert {7, 8, 9} < set(missing) < set(range(60))
    assert (len(headers), damaged > 0, len(judged) > 3) == (3, True, True)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "parts").iterdir()}
    assert sorted(sizes[name] - end for name, end in ends.items()) == [0, 0, len('{"at": 1.0, "being written')]


def test_processes_that_read_logs_import_little():
    modules = "promise_seg.prediction.line_outlines, promise_seg.prediction.part_files"
    text = f"import sys, {modules}; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True).stdout
    assert not {"torch", "pydantic", "PIL", "cv2"} & set(printed.split())


def test_a_line_that_is_being_written_is_read_when_it_is_whole(inputs, tmp_path, files, monkeypatch):
    monkeypatch.setattr(part_logs, "_BYTES_AT_ONCE", 2)
    log, index, reader = PartLog(tmp_path, Part(1, 1)), PartIndex(inputs), LogReader(tmp_path)
    for number, stem in enumerate(STEMS[:3]):
        log.add(entry(stem, 1.0 + number))
    whole = log.path.read_bytes()
    begins = len(whole) - len(whole.splitlines(keepends=True)[-1])
    for end, missing in ((begins + 30, [2, 3]), (len(whole), [3])):
        log.path.write_bytes(whole[:end])
        index.take_in(reader, ALL_LOGS, as_then, files)
        assert index.missing().tolist() == missing
    assert reader.damaged == 0
    assert [index.entry(number, reader) for number in range(3)] == [
        entry(stem, 1.0 + number) for number, stem in enumerate(STEMS[:3])
    ]


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
