import json
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from promise_seg.assessment.test_log import LOG_FILE, finish_left_behind, logged_test, look_note
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.storage.sealed import opened
from tests.helpers import write_dataset


def log_test(*facts):
    """Log a look whose results are written."""
    with logged_test(*facts) as looks:
        return looks


@pytest.fixture
def rows(tmp_path):
    return check_rows(read_manifest(write_dataset(tmp_path / "data", ("test",) * 6)))


@pytest.fixture
def run(tmp_path):
    return tmp_path / "runs" / "one"


def test_a_first_look_and_the_same_again_are_no_second_thoughts(run, rows):
    assert log_test(run, "m1", rows, {"prompts": "apm"}).note is None
    looks = log_test(run, "m1", rows, {"prompts": "oracle"})
    assert (looks.this_model, looks.other_models) == (2, 0)
    assert looks.note is None


def test_a_look_after_a_change_says_so(run, rows):
    for _ in range(2):
        log_test(run, "m1", rows, {})
    looks = log_test(run, "m2", rows, {})
    assert (looks.this_model, looks.other_models, looks.looked_at) == (1, 2, 6)
    assert looks.note.startswith("these test images were looked at 2 time(s) before with another model")


def test_rows_in_another_order_some_of_them_and_others_beside_are_seen_too(run, rows):
    """A test set that was sorted, lost a frame or had a mask corrected has been looked at all the same."""
    log_test(run, "m1", rows[:4], {})
    corrected = [replace(rows[3], labels_sha256="another"), rows[2], *rows[4:]]
    for number, (part, looked_at) in enumerate([(rows[1:3], 2), (corrected, 2), (rows[::-1], 6)]):
        looks = log_test(run, f"other {number}", part, {})
        assert (looks.looked_at, looks.other_models) == (looked_at, 1 + number)
        assert ("these test images were looked" in looks.note) == (looked_at == len(part))
    assert "4 of these 6 test images were looked at 1 time(s)" in look_note(6, 1, 4)


def test_images_that_were_never_looked_at_are_another_matter(run, rows):
    log_test(run, "m1", rows[:3], {})
    assert log_test(run, "m2", rows[3:], {}).note is None


def test_another_choice_among_masks_is_another_model_by_the_same_protocol(run, rows):
    log_test(run, "m", rows, {"mask_choice": "score", "protocol": "own"})
    assert log_test(run, "m", rows, {"mask_choice": "0", "protocol": "reference"}).note is None
    assert log_test(run, "m", rows, {"prompts": "budget"}).note is None
    looks = log_test(run, "m", rows, {"mask_choice": "0", "protocol": "own"})
    assert looks.other_models == 1
    assert "the choice among SAM's masks" in looks.note


def test_the_masks_that_a_model_chooses_for_other_prompts_are_no_other_model(run, rows):
    def facts(prompts, choice, *, given=False):
        return {"prompts": prompts, "mask_choice": choice, "mask_given": given, "protocol": "own"}

    log_test(run, "m", rows, facts("apm", "1"))
    assert log_test(run, "m", rows, facts("oracle", "0")).note is None
    assert "the choice among SAM's masks" in log_test(run, "m", rows, facts("apm", "2", given=True)).note
    assert log_test(run, "m", rows, facts("apm", "1")).other_models == 1


EACH = {"prompts": "apm", "protocol": "own", "mask_choice": "1", "mask_given": False, "postprocessing": "none"}
BLEND = EACH | {"postprocessing": "none; volumes: slices blended"}


@pytest.mark.parametrize(
    "other",
    [BLEND, EACH | {"always_segment": True}, BLEND | {"prompts": "report: apm, oracle"}],
    ids=["slices", "always-segment", "report"],
)
def test_trying_options_that_change_the_masks_is_model_selection(run, rows, other):
    log_test(run, "m", rows, EACH)
    looks = log_test(run, "m", rows, other)
    assert (looks.this_model, looks.other_models) == (1, 1)
    assert "--slices or --always-segment differed" in looks.note
    assert log_test(run, "m", rows, other).this_model == 2
    again = log_test(run, "m", rows, EACH)
    assert (again.this_model, again.other_models) == (2, 2)


@pytest.mark.parametrize(
    "other",
    [EACH | {"prompts": "report: apm, oracle"}, BLEND | {"prompts": "oracle"},
     BLEND | {"protocol": "reference"}, {"prompts": "budget"}, {"prompts": "apm"}],
    ids=["report", "prompts", "protocol", "budget", "benchmark"],
)  # fmt: skip
def test_options_are_compared_only_with_the_same_prompts_and_protocol(run, rows, other):
    log_test(run, "m", rows, EACH)
    assert log_test(run, "m", rows, other).note is None
    assert log_test(run, "m", rows, EACH).other_models == 0


def test_other_runs_beside_this_one_are_counted(run, rows):
    assert log_test(run, "m1", rows, {}).beside_note is None
    looks = log_test(run.with_name("two"), "m2", rows, {})
    assert (looks.other_models, looks.beside) == (0, 1)
    assert "1 other run(s) in the folder around this one were scored on these test images" in looks.beside_note
    assert log_test(run.with_name("three"), "m3", rows[:0], {}).beside == 0


def test_nothing_is_ever_taken_out_of_the_log(run, rows):
    log_test(run, "m1", rows, {"dice": 0.5})
    path = run / LOG_FILE
    path.write_bytes(path.read_bytes() + b"damaged\n\xff[]\nnull\ncu")
    found = log_test(run, "m2", rows, {"dice": 0.6})
    lines = path.read_bytes().splitlines()
    assert lines[1:-1] == [b"damaged", b"\xff[]", b"null", b"cu"]
    assert [json.loads(lines[i])["dice"] for i in (0, -1)] == [0.5, 0.6]
    assert found.damage_note.startswith(
        f"4 line(s) of {path} are damaged, so earlier looks at these test images may be missing"
    )
    assert found.other_models == 1


def test_a_log_without_a_line_is_said_to_have_lost_them(run, rows):
    path = run / LOG_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert log_test(run, "m1", rows, {}).damage_note.startswith(
        f"{path} is empty, so earlier looks at these test images may be missing"
    )
    assert log_test(run, "m1", rows, {}).damage_note is None


def test_looks_of_several_at_once_are_all_logged(run, rows):
    def look(name):
        for _ in range(5):
            log_test(run, name, rows, {})

    threads = [threading.Thread(target=look, args=(f"m{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log_test(run, "m0", rows, {}).this_model == 6
    assert len((run / LOG_FILE).read_text().splitlines()) == 21
    assert [path.name for path in run.iterdir()] == [LOG_FILE]


LOOK = """
import os, sys
from pathlib import Path
from promise_seg.assessment.test_log import logged_test
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
with logged_test(Path(sys.argv[1]), "m1", check_rows(read_manifest(sys.argv[2])), {"dice": 0.5}):
    os._exit(1)
"""


@pytest.fixture
def killed(run, rows):
    """The log of a process that was killed while it wrote what it had seen."""
    manifest = rows[0].row.image.parents[1] / "manifest.csv"
    assert subprocess.run([sys.executable, "-c", LOOK, str(run), str(manifest)], check=False).returncode == 1
    (line,) = lines(run)
    assert "unfinished" in line
    return line


def lines(run):
    return [json.loads(line) for line in (run / LOG_FILE).read_text().splitlines()]


def test_a_look_of_a_killed_process_that_is_given_again_is_one(run, rows, killed):
    looks = log_test(run, "m1", rows, {"dice": 0.5})
    assert (looks.this_model, looks.other_models) == (1, 0)
    (line,) = lines(run)
    assert line.keys() == killed.keys() - {"unfinished"}
    assert log_test(run, "m1", rows, {"dice": 0.5}).this_model == 2
    assert len(lines(run)) == 2


@pytest.mark.parametrize(
    ("model", "facts", "count"), [("m2", {"dice": 0.5}, 6), ("m1", {"dice": 0.6}, 6), ("m1", {"dice": 0.5}, 3)]
)
def test_another_look_than_that_of_a_killed_process_is_one_more(run, rows, killed, model, facts, count):
    looks = log_test(run, model, rows[:count], facts)
    assert looks.this_model + looks.other_models == 2
    assert lines(run)[0] == killed


def test_a_look_whose_results_could_not_be_written_is_not_two_either(run, rows):
    with pytest.raises(OSError, match="full"), logged_test(run, "m1", rows, {}):
        raise OSError("full")
    assert log_test(run, "m1", rows, {}).this_model == 1


def test_two_looks_at_once_are_two(run, rows):
    with logged_test(run, "m1", rows, {}) as first, logged_test(run, "m1", rows, {}) as second:
        assert (first.this_model, second.this_model) == (1, 2)
    assert len(lines(run)) == 2
    assert not any("unfinished" in line for line in lines(run))


def test_the_look_of_a_process_that_was_killed_after_its_results_is_finished(run, rows, killed):
    log_test(run, "m2", rows, {"dice": 0.5})
    finish_left_behind(run, "m1", {"dice": 0.6})
    assert lines(run)[0] == killed
    finish_left_behind(run, "m1", {"dice": 0.5})
    assert opened(lines(run)[0]) == {name: value for name, value in opened(killed).items() if name != "unfinished"}
    before = (run / LOG_FILE).stat().st_mtime_ns
    finish_left_behind(run, "m1", {"dice": 0.5})
    assert (run / LOG_FILE).stat().st_mtime_ns == before
