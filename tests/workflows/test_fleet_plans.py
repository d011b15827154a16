"""Plans for very many images are the arithmetic that they say they are."""

import json
import re

import pytest

from promise_seg.cli.main import main
from promise_seg.errors import SettingsError
from promise_seg.workflows.fleet_plans import plan_fleet, workers_of

PROFILE = {
    "timings": [
        {"work": "encode and store an image", "p50_seconds": 2.0, "p95_seconds": 3.0},
        {"work": "predict an image and write its files", "p50_seconds": 4.0, "p95_seconds": 5.0},
    ],
    "feature_bytes": 2_000_000,
    "output_bytes": 100_000,
    "memory_bytes": 3_000_000_000,
}


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "speed.json"
    path.write_text(json.dumps(PROFILE))
    return path


def test_predicting_many_images(profile):
    plan = plan_fleet(profile, images=10e6, workers=8, image_bytes=500_000, price=0.5)
    assert (plan.items, plan.items_each) == (10_000_000, 1_250_000)
    assert plan.seconds == 5_000_000
    assert plan.worker_hours == pytest.approx(8 * 5_000_000 / 3600)
    assert plan.disk_bytes == 10**12
    assert plan.bytes_per_second == 8 * 600_000 / 4
    assert plan.money == pytest.approx(0.5 * plan.worker_hours)
    assert dict(plan.rows())["memory"] == "3.0 GB for each worker"


def test_encoding_counts_views_and_the_last_worker(profile):
    plan = plan_fleet(profile, images=3, work="encode", workers=4, views=3)
    assert (plan.items, plan.items_each, plan.seconds) == (9, 3, 6.0)
    assert plan.disk_bytes == 9 * 2_000_000
    assert plan.money is None


@pytest.mark.parametrize("images", [1e4, 1e5, 1e6, 1e7, 1e8, 1e9])
def test_time_and_disk_grow_as_the_number_of_images_and_shrink_with_workers(profile, images):
    one, ten, more = (
        plan_fleet(profile, images=n, workers=w) for n, w in ((images, 1), (10 * images, 1), (images, 10))
    )
    assert ten.seconds == pytest.approx(10 * one.seconds)
    assert ten.disk_bytes == 10 * one.disk_bytes
    assert more.seconds == pytest.approx(one.seconds / 10)
    assert more.worker_hours == pytest.approx(one.worker_hours)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"images": 0}, "--images 0: expected a whole number from 1"), ({"images": 1e99}, "from 1 to 1e15"),
     ({"images": 1.5}, "--images 1.5"),
     ({"images": float("nan")}, "--images nan"), ({"images": float("inf")}, "--images inf"),
     ({"images": 1, "workers": 0}, "--workers 0"), ({"images": 1, "views": -1, "work": "encode"}, "--views -1"),
     ({"images": 1, "views": 2}, "--views 2: images are predicted once each"),
     ({"images": 1, "price": -1.0}, "--price -1"), ({"images": 1, "work": "fly"}, "--work fly")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(profile, options, words):
    with pytest.raises(SettingsError, match=words):
        plan_fleet(profile, **options)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"timings": 3}', json.dumps(PROFILE | {"timings": []}),
                json.dumps({**PROFILE, "output_bytes": None}), json.dumps({**PROFILE, "memory_bytes": "a lot"}),
                json.dumps({**PROFILE, "output_bytes": -1})],
)  # fmt: skip
def test_a_file_that_is_no_profile_is_refused(profile, content, capsys):
    profile.write_text(content)
    assert main(["plan", "--images", "10", "--profile", str(profile)]) == 2
    assert f"--profile {profile}: " in capsys.readouterr().err


def test_options_of_measuring_are_refused_beside_a_profile(profile, capsys):
    assert main(["plan", "--images", "10", "--profile", str(profile), "--variant", "ips"]) == 2
    assert "--variant: is for measuring here" in capsys.readouterr().err


def test_the_command_prints_the_plan(profile, capsys):
    words = ["plan", "--images", "10e6", "--workers", "8", "--profile", str(profile), "--image-file", "500KB"]
    assert main([*words, "--price", "0.5"]) == 0
    printed = capsys.readouterr().out
    for part in ("10,000,000, up to 1,250,000", "57.9 days", "1.0 TB", "5,555.56", "1.2 MB a second"):
        assert part in printed


MEASURED_ON = {"environment": {"device": "cpu", "memory_bytes": 16 * 10**9, "cores": 8}, "threads": 2}


@pytest.mark.parametrize(
    ("more", "memory", "workers"),
    [({}, None, None), ({}, 32 * 10**9, 9), (MEASURED_ON, None, 4), (MEASURED_ON, 32 * 10**9, 9),
     (MEASURED_ON | {"worker_memory_bytes": 5 * 10**9}, None, 2), (MEASURED_ON | {"memory_bytes": None}, 10**9, None),
     ({"environment": {"device": "cuda: H100", "memory_bytes": 10**12, "cores": 64}, "threads": 1}, None, None),
     (MEASURED_ON | {"threads": 0}, None, None), ({"environment": [], "threads": 1}, None, None)],
)  # fmt: skip
def test_a_computer_has_the_workers_that_its_memory_and_its_cores_allow(profile, more, memory, workers):
    profile.write_text(json.dumps(PROFILE | more))
    plan = plan_fleet(profile, images=100, workers=20, computer_bytes=memory)
    assert plan.workers_of_computer == workers
    words = dict(plan.rows()).get("computers", "")
    assert words.startswith(f"{-(-20 // workers)}: {workers} workers fit on each") if workers else not words


def test_a_worker_that_does_not_fit_is_refused(profile, capsys):
    assert main(["plan", "--images", "10", "--profile", str(profile), "--memory", "3GB"]) == 2
    assert "--memory 3.0 GB: a worker needs 3.0 GB, and a tenth of the memory is left free" in capsys.readouterr().err
    assert main(["plan", "--images", "10", "--workers", "8", "--profile", str(profile), "--memory", "8GB"]) == 0
    assert "4: 2 workers fit on each, with 8.0 GB" in capsys.readouterr().out


def test_workers_may_be_given_with_the_profile_of_one(profile, capsys):
    for words in (["--workers", "8", "--profile", str(profile)], ["--workers", f"8x{profile}"]):
        assert main(["plan", "--images", "10e6", *words]) == 0
        assert "10,000,000, up to 1,250,000 for each of 8 workers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [("8xA100", r"there is no file A100 with times. Run promise bench -o A100.json .* --workers 8xA100.json"),
     *((words, "expected a whole number from 1, such as 8, or 8xFILE") for words in ("A100", "0", "2.5", "8x", "-3"))],
)  # fmt: skip
def test_workers_of_an_unknown_kind_are_one_line_that_says_how_to_measure_them(words, expected, capsys):
    assert main(["plan", "--images", "10", f"--workers={words}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(f"--workers {re.escape(words)}: {expected}", error)


def test_two_profiles_are_refused(profile):
    with pytest.raises(SettingsError, match=r"names a profile, and so does --profile"):
        workers_of(f"8x{profile}", profile)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--images", "-4"], "--images -4: expected a whole number from 1"),
     (["--images", "4", "--price", "-1"], "--price -1: expected a number from 0"),
     (["--images", "4", "--views", "2"], "--views 2: images are predicted once each")],
)  # fmt: skip
def test_numbers_that_cannot_be_meant_are_refused_before_anything_is_measured(capsys, monkeypatch, words, message):
    monkeypatch.setattr("promise_seg.workflows.timing.bench", None)
    assert main(["plan", *words]) == 2
    assert f"promise: error: {message}" in capsys.readouterr().err
