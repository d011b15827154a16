"""``promise bench`` does each kind of work as often as it says, and keeps nothing but its JSON."""

import json
import tempfile

import pytest

import promise_seg
from promise_seg.cli.main import main
from promise_seg.errors import SettingsError
from promise_seg.workflows.timing import Timing
from tests.helpers import make_tiny_sam

WORK = (
    "encode and store an image",
    "decode a click on a stored embedding",
    "answer a click in a session",
    "training step of 2 images",
    "epoch of 3 images",
)


@pytest.mark.slow
def test_every_kind_of_work_is_timed_as_often_as_it_says(tiny_sam, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    calls = []
    decode = tiny_sam.decode
    monkeypatch.setattr(tiny_sam, "decode", lambda *args, **more: calls.append(args) or decode(*args, **more))
    found = promise_seg.bench(tiny_sam, variant="apm", images=3, batch_size=2, clicks=4, device="cpu")
    assert tuple(timing.work for timing in found.timings) == (*WORK, "predict an image and write its files")
    assert [len(timing.seconds) for timing in found.timings] == [3, 4, 4, 2, 2, 3]
    assert min(found.feature_bytes, found.output_bytes, found.worker_memory_bytes) > 0
    assert found.worker_memory_bytes <= found.memory_bytes
    assert all(second > 0 for timing in found.timings for second in timing.seconds)
    step, epoch = found.timings[3:5]
    assert epoch.at(50) == pytest.approx(2 * step.at(50))
    assert len(calls) >= 2 * (4 + 1)
    assert list(tmp_path.iterdir()) == []
    assert found.environment.processor in found.hardware


@pytest.mark.slow
def test_images_that_are_encoded_together_share_the_time(monkeypatch):
    """Those after the first of a batch once took no time at all, and plans were made of that."""
    sam = make_tiny_sam()
    monkeypatch.setattr(type(sam), "images_at_once", 4)
    found = promise_seg.bench(sam, variant="ips", images=3, batch_size=2, clicks=1, device="cpu")
    assert found.images == 3
    seconds = found.timings[0].seconds
    assert len(seconds) == 4
    assert len(set(seconds)) == 1
    assert seconds[0] > 1e-4


def test_percentiles():
    timing = Timing("x", tuple(number / 100 for number in range(101)))
    assert timing.record() == {"work": "x", "times": 101, "p50_seconds": 0.5, "p95_seconds": pytest.approx(0.95)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 1}, "--images 1: expected at least 2"),
        ({"clicks": 0}, "--clicks 0: expected at least 1"),
        ({"batch_size": 0}, "--batch-size 0: expected at least 1"),
    ],
)
def test_numbers_that_cannot_work_are_refused(options, message, tiny_sam):
    with pytest.raises(SettingsError, match=message):
        promise_seg.bench(tiny_sam, **options)


@pytest.mark.slow
def test_the_command_prints_a_table_with_the_hardware_and_writes_json(tmp_path, capsys):
    path = tmp_path / "speed.json"
    words = ["bench", "--variant", "ips", "--images", "3", "--batch-size", "2", "--clicks", "2", "--device", "cpu"]
    assert main([*words, "-o", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "nano at 128 px, ips" in printed
    assert "95th percentile" in printed
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert [one["work"] for one in facts["timings"]] == list(WORK)
    assert f"on cpu; {facts['environment']['processor']}, " in printed
    assert facts["image_size"] == 128


def test_an_unknown_sam_is_a_user_s_mistake(tmp_path, capsys):
    assert main(["bench", "--sam", str(tmp_path / "none.pth")]) == 2
    assert "none.pth" in capsys.readouterr().err
