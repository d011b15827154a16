"""What users of Python pass is what is meant, or is refused by its name."""

from pathlib import Path

import numpy as np
import pytest

from promise_seg.arguments import check_place, finite_number, whole_number, yes_or_no
from promise_seg.errors import SettingsError
from promise_seg.storage.remote_paths import remote_path


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers(value):
    assert whole_number(value, "n") == 3


@pytest.mark.parametrize("value", [3.0, "3", None, True, np.True_, np.float32(3)])
def test_what_is_no_whole_number(value):
    with pytest.raises(SettingsError, match=r"^n .*: expected a whole number$"):
        whole_number(value, "n")


def test_a_whole_number_that_is_too_low():
    with pytest.raises(SettingsError, match="--every 0: expected a whole number from 1"):
        whole_number(0, "--every", 1)


@pytest.mark.parametrize("value", [1, 1.5, np.float32(2)])
def test_finite_numbers(value):
    assert finite_number(value, "x") == float(value)


@pytest.mark.parametrize("value", ["1", b"1", True, None, np.nan, np.inf, 10**400, [1, 2]])
def test_what_is_no_finite_number(value):
    with pytest.raises(SettingsError, match=r"(?s)^x .*: expected a finite number$"):
        finite_number(value, "x")


def test_yes_or_no():
    assert (yes_or_no(np.True_, "a"), yes_or_no(False, "a")) == (True, False)
    for value in ("no", "yes", 0, 1, None):
        with pytest.raises(SettingsError, match=r"^instances .*: expected True or False$"):
            yes_or_no(value, "instances")


def test_a_file_at_an_address_is_not_fetched_to_be_checked(monkeypatch):
    monkeypatch.setattr(
        "promise_seg.storage.remote_paths.RemotePath.__fspath__", lambda self: pytest.fail("it is fetched")
    )
    check_place(remote_path("s3://bucket/a.png"), "images")


def test_places():
    for place in ("a", "s3://a/b", Path("a")):
        check_place(place, "output")
    for place in (None, 3, ["a"], np.zeros(3)):
        with pytest.raises(SettingsError, match=r"(?s)^output .*: expected a path"):
            check_place(place, "output")
    with pytest.raises(SettingsError, match="output of type ndarray: expected a path"):
        check_place(np.zeros(99), "output")
    with pytest.raises(SettingsError, match="output: the path is empty"):
        check_place("", "output")
