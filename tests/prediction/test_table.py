import itertools
import json
import os

import pytest

from promise_seg.images.own_folders import PREDICTION_LOG
from promise_seg.prediction import table as prediction_table
from promise_seg.prediction.table import COLUMNS, PredictionTable
from tests.prediction.tables import table


def lines_for(name, slices=1, sha="0"):
    empty = dict.fromkeys(COLUMNS, "")
    return [
        empty | {"image": f"/i/{name}.png", "slice": str(n), "mask": f"masks/{name}.png", "image_sha256": sha}
        for n in range(slices)
    ]


def put(table, name, **more):
    table.put(f"/i/{name}.png", lines_for(name, **more))


@pytest.fixture(autouse=True)
def _never_due(monkeypatch):
    monkeypatch.setattr(prediction_table, "_SAVE_SECONDS", 3600)


def test_what_was_put_is_known_to_the_next_also_if_the_table_was_never_written(tmp_path):
    first = PredictionTable(tmp_path)
    put(first, "b", slices=3)
    put(first, "a")
    assert not (tmp_path / "predictions.csv").exists()
    again = PredictionTable(tmp_path)
    assert again.lines("/i/b.png") == lines_for("b", 3)
    again.save()
    assert [line["image"] for line in table(tmp_path)] == ["/i/a.png", *["/i/b.png"] * 3]
    assert not (tmp_path / PREDICTION_LOG).exists()


def test_putting_costs_the_same_however_long_the_table_is(tmp_path, monkeypatch):
    """Nothing but the new lines is written."""
    one, written = PredictionTable(tmp_path), []
    for number in range(20):
        put(one, f"{number:03}")
        written.append((tmp_path / PREDICTION_LOG).stat().st_size)
    assert len({later - earlier for earlier, later in itertools.pairwise(written)}) == 1


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_an_image_whose_lines_were_not_all_written_is_not_there_and_spoils_no_other(tmp_path, kept):
    first = PredictionTable(tmp_path)
    put(first, "a")
    whole = (tmp_path / PREDICTION_LOG).stat().st_size
    put(first, "b", slices=4)
    end = (tmp_path / PREDICTION_LOG).stat().st_size
    os.truncate(tmp_path / PREDICTION_LOG, whole + int(kept * (end - whole)))  # as a kill in the middle leaves it
    again = PredictionTable(tmp_path)
    assert again.lines("/i/b.png") == []
    put(again, "c")
    last = PredictionTable(tmp_path)
    assert [bool(last.lines(f"/i/{name}.png")) for name in "abc"] == [True, False, True]


def test_a_kill_between_the_table_and_the_end_of_the_log_changes_nothing(tmp_path):
    first = PredictionTable(tmp_path)
    put(first, "a")
    log = (tmp_path / PREDICTION_LOG).read_bytes()
    first.save()
    content = (tmp_path / "predictions.csv").read_bytes()
    (tmp_path / PREDICTION_LOG).write_bytes(log)
    PredictionTable(tmp_path).save()
    assert (tmp_path / "predictions.csv").read_bytes() == content


def test_an_image_that_takes_the_place_of_another_takes_its_lines_too(tmp_path):
    first = PredictionTable(tmp_path)
    put(first, "a")
    first.save()
    moved = [line | {"image": "/elsewhere/a.png"} for line in first.take_out("/i/a.png")]
    first.put("/elsewhere/a.png", moved)  # and the process is killed
    again = PredictionTable(tmp_path)
    assert again.lines("/i/a.png") == []
    assert again.owner("a") == "/elsewhere/a.png"
    again.save()
    assert [line["image"] for line in table(tmp_path)] == ["/elsewhere/a.png"]


@pytest.mark.parametrize("line", [b"[]", b"null", b'{"key": 1}', b'{"key": "k", "lines": [{"image": "x"}]}', b"\xff"])
def test_what_cannot_be_a_line_of_the_log_is_passed_over(tmp_path, line):
    put(PredictionTable(tmp_path), "a")
    with (tmp_path / PREDICTION_LOG).open("ab") as file:
        file.write(line + b"\n")
    assert PredictionTable(tmp_path).all_lines() == [lines_for("a")]


def test_the_table_is_written_more_seldom_where_that_takes_long(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(prediction_table.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(prediction_table, "_SAVE_SECONDS", 5)
    one = PredictionTable(tmp_path)
    write = prediction_table.write_text

    def slowly(path, text):
        clock[0] += 2
        write(path, text)

    monkeypatch.setattr(prediction_table, "write_text", slowly)
    clock[0] += 6
    assert one.is_due
    one.save()
    clock[0] += 30
    assert not one.is_due
    clock[0] += 11
    assert one.is_due


def test_the_log_holds_names_that_are_not_valid_utf_8(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    put(PredictionTable(tmp_path), name)
    assert PredictionTable(tmp_path).lines(f"/i/{name}.png")
    json.loads((tmp_path / PREDICTION_LOG).read_bytes())
