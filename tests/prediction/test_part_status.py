"""How far parts are, over all processes; and what is logged of each image."""

import json
import time

import pytest
from PIL import Image

from promise_seg.errors import PromiseError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.own_folders import PREDICTION_PARTS
from promise_seg.monitoring.monitored import monitored
from promise_seg.parallel.parts import Part
from promise_seg.prediction import part_logs, part_status
from promise_seg.prediction.part_logs import Entry, PartLog
from promise_seg.prediction.part_plan import PartPlan
from promise_seg.prediction.part_run import predict_part
from promise_seg.prediction.part_status import status_of_parts
from promise_seg.storage.claims import Claims
from promise_seg.storage.holders import Holder
from tests.helpers import disc_image

IMAGES = 6


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(IMAGES):
        Image.fromarray(disc_image(i, 30 + i, 40)[0]).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def begun(images, tmp_path):
    """A folder in which parts of all images were begun, with its images."""
    inputs, out = find_inputs([images]), tmp_path / "out"
    PartPlan.of(inputs).begin(out, inputs)
    return out, inputs


def entry(one, at, problem=""):
    return Entry(one.stem, one.key, one.name, at, one.state(), [] if problem else [{"mask": "m"}], problem)


def test_what_is_done_failed_and_missing(begun):
    out, inputs = begun
    now, log, other = time.time(), PartLog(out, Part(1, 2)), PartLog(out, Part(2, 2))
    log.add(entry(inputs[0], now - 30))
    log.add(entry(inputs[1], now - 20, "is no image"))
    other.add(entry(inputs[0], now - 10))  # again
    other.add(entry(inputs[2], now - 5, "cannot be read"))
    other.add(entry(inputs[2], now - 1))  # and then it could
    status = status_of_parts(out)
    assert (status.images, status.done, status.failed, status.missing, status.damaged) == (IMAGES, 2, 1, 3, 0)
    assert sorted((one.part, one.done) for one in status.workers) == [("1/2", 1), ("2/2", 2)]
    assert status.per_minute == pytest.approx(sum(one.per_minute for one in status.workers))
    assert status.seconds_left == pytest.approx(60 * 3 / status.per_minute)


def test_the_rate_is_that_of_the_last_minutes(begun, monkeypatch):
    out, inputs = begun
    log = PartLog(out, Part(1, 1))
    now = time.time()
    for number in range(4):
        log.add(entry(inputs[number], now + 60 * number))
    later = now + 180 + part_status.WINDOW_SECONDS - 100  # the last two lines are within the window
    monkeypatch.setattr(part_status.time, "time", lambda: later)
    monkeypatch.setattr(part_status, "holders_of_claims", lambda folder: [Holder.this_process()])
    assert status_of_parts(out).per_minute == pytest.approx(60 * 2 / part_status.WINDOW_SECONDS)
    monkeypatch.setattr(part_status, "holders_of_claims", lambda folder: [])
    monkeypatch.setattr(part_status.time, "time", lambda: later + part_status.WINDOW_SECONDS)
    status = status_of_parts(out)
    assert (status.per_minute, status.seconds_left, status.workers) == (0, None, ())


def test_the_rate_is_that_of_those_at_work_after_a_restart(begun, monkeypatch):
    out, inputs = begun
    now = time.time()
    killed, young = PartLog(out, Part(1, 1)), PartLog(out, Part(1, 1))
    killed._began, young._began = now - 500, now - 60
    monkeypatch.setattr(part_logs, "own_start", lambda: 1.0)  # as of a process that is no more
    for number in range(3):
        killed.add(entry(inputs[number], now - 400 + 50 * number))
    monkeypatch.undo()
    monkeypatch.setattr(part_status.time, "time", lambda: now)
    young.add(entry(inputs[3], now - 30))
    status = status_of_parts(out)
    rates = {one.done: one.per_minute for one in status.workers}
    assert status.per_minute == rates[1] == pytest.approx(1, rel=0.1)
    assert rates[3] == pytest.approx(60 * 3 / 200, rel=0.1)  # until its last image
    assert status.seconds_left == pytest.approx(60 * 2, rel=0.1)


def test_a_process_of_another_computer_that_is_silent_and_has_claimed_nothing_does_not_count(begun, monkeypatch):
    out, inputs = begun
    monkeypatch.setattr(part_logs, "system_name", lambda: "elsewhere")
    log = PartLog(out, Part(1, 1))
    log._began = time.time() - 500
    log.add(entry(inputs[0], time.time() - 2 * part_status._PAUSE_SECONDS))
    status = status_of_parts(out)
    assert (status.per_minute, status.seconds_left, len(status.workers)) == (0, None, 1)


def test_the_time_before_the_first_image_counts_for_the_rate(begun, monkeypatch):
    out, inputs = begun
    log, now = PartLog(out, Part(1, 1)), time.time()
    log._began = now
    monkeypatch.setattr(part_logs.time, "time", lambda: now + 30)
    log.add(entry(inputs[0], now + 30))
    assert status_of_parts(out).per_minute == pytest.approx(60 / 30, rel=0.1)


def test_who_is_at_work_is_known_by_claims(begun):
    out, inputs = begun
    claims = Claims(out / PREDICTION_PARTS / "claims")
    with claims.ending():
        assert claims.take(inputs[0].stem) is None
        (worker,) = status_of_parts(out).workers
        assert (worker.claims, worker.part, worker.is_at_work) == (1, "", True)
        PartLog(out, Part(1, 3)).add(entry(inputs[1], time.time()))
        (worker,) = status_of_parts(out).workers
        assert (worker.claims, worker.part, worker.done) == (1, "1/3", 1)
    (worker,) = status_of_parts(out).workers
    assert not worker.is_at_work


def test_nothing_is_changed(begun):
    out, inputs = begun
    PartLog(out, Part(1, 1)).add(entry(inputs[0], time.time()))
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in out.rglob("*")}
    status_of_parts(out)
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in out.rglob("*")}


def test_a_folder_without_parts(tmp_path):
    with pytest.raises(PromiseError, match="holds no parts of predictions"):
        status_of_parts(tmp_path)


def test_each_image_of_a_run_is_in_the_log_once(images, labeller, tmp_path):
    (images / "5.png").write_bytes(b"nothing")
    log, out = tmp_path / "log.jsonl", tmp_path / "out"
    with monitored(log_file=log):
        predict_part(labeller, find_inputs([images]), out, part=Part(1, 1))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    items = [line for line in lines if "item" in line]
    assert sorted((one["item"], one["event"]) for one in items) == [
        (str(number), "done" if number < 5 else "failed") for number in range(IMAGES)
    ]
    assert all(one["work"] == "predict" and one["seconds"] > 0 for one in items)
    (failed,) = [one for one in items if one["event"] == "failed"]
    assert failed["error"] == "ImageError"
    assert "5.png" in failed["message"]
    (part,) = [line for line in lines if line["event"] == "part"]
    assert (part["part"], part["images"], part["missing"]) == ("1/1", IMAGES, IMAGES)
    status = status_of_parts(out)
    assert (status.done, status.failed, status.missing, status.seconds_left) == (5, 1, 0, 0.0)
