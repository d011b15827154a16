"""Which part of a list a process has."""

import itertools

import pytest

from promise_seg.errors import SettingsError
from promise_seg.parallel.parts import Part


def slurm(task, first, last, step=1, count=None):
    count = (last - first) // step + 1 if count is None else count
    values = {"ID": task, "COUNT": count, "MIN": first, "MAX": last, "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(("items", "count"), [(0, 1), (1, 1), (5, 8), (8, 8), (100, 7)])
def test_parts_have_each_item_once_and_are_of_one_size(items, count):
    parts = [range(items)[Part(number, count).slice] for number in range(1, count + 1)]
    assert sorted(itertools.chain(*parts)) == list(range(items))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "0/0"])
def test_parts_out_of_range_are_refused(text):
    with pytest.raises(SettingsError, match=f"--part {text}: expected K from 1 to N"):
        Part.parse(text)


@pytest.mark.parametrize("text", ["", "3", "3/", "/4", "-1/4", "1/4/2", "a/b", "1.5/4", "² /4", "1/4 ", "SLURM"])
def test_what_is_not_a_part_is_refused(text):
    with pytest.raises(SettingsError, match="expected K/N, such as 3/8"):
        Part.parse(text)


@pytest.mark.parametrize(
    ("environment", "part"),
    [(slurm(1, 1, 8), "1/8"), (slurm(8, 1, 8), "8/8"), (slurm(0, 0, 3), "1/4"), (slurm(3, 0, 3), "4/4"),
     (slurm(7, 1, 10, 3), "3/4"), (slurm(7, 1, 9, 3), "3/3"), (slurm(5, 5, 5), "1/1")],
)  # fmt: skip
def test_a_task_of_a_job_array_is_its_part(environment, part):
    found = Part.parse("slurm", environment)
    assert str(found) == part
    assert f"task {environment['SLURM_ARRAY_TASK_ID']} of the job array" in found.words


@pytest.mark.parametrize(
    "environment",
    [slurm(3, 1, 7, count=3),  # --array=1,3,7
     slurm(9, 1, 8), slurm(0, 1, 8), slurm(2, 1, 9, 3), slurm(1, 1, 4, 0, count=4)],
)  # fmt: skip
def test_tasks_whose_part_is_not_known_are_refused(environment):
    with pytest.raises(SettingsError, match="not evenly spaced, so that their parts are not known"):
        Part.parse("slurm", environment)


def test_outside_of_a_job_array_slurm_is_refused():
    with pytest.raises(SettingsError, match=r"SLURM_ARRAY_TASK_ID, .* not set; expected a task of a job array"):
        Part.parse("slurm", {"SLURM_JOB_ID": "7"})
    with pytest.raises(SettingsError, match="SLURM_ARRAY_TASK_MAX is 'x'; expected a whole number"):
        Part.parse("slurm", slurm(1, 1, 8) | {"SLURM_ARRAY_TASK_MAX": "x"})
    with pytest.raises(SettingsError, match=r"TASK_COUNT is '1{20}'; expected a whole number of at most nine"):
        Part.parse("slurm", slurm(1, 1, 8) | {"SLURM_ARRAY_TASK_COUNT": "1" * 5000})
