import sys
from pathlib import Path

import pytest

from promise_seg.features.store import default_store_folder
from promise_seg.sam.known import default_sam_folder
from promise_seg.storage.cache_folders import cache_folder

linux = pytest.mark.skipif(sys.platform != "linux", reason="where Linux keeps a user's cache")


@pytest.fixture(params=[("features", default_store_folder), ("sams", default_sam_folder)], ids=lambda p: p[0])
def kept(request, monkeypatch):
    """What is kept, and the function that says where."""
    for variable in ("PROMISE_SEG_STORE", "PROMISE_SEG_SAMS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return request.param


@linux
@pytest.mark.parametrize("unset", [None, ""])
def test_on_linux_it_is_in_the_home(kept, unset, tmp_path, monkeypatch):
    name, where = kept
    monkeypatch.setenv("HOME", str(tmp_path))
    if unset is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
    assert where() == tmp_path / ".cache" / "promise-seg" / name


@linux
def test_on_linux_it_is_where_xdg_says(kept, tmp_path, monkeypatch):
    name, where = kept
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert where() == tmp_path / "promise-seg" / name


def test_our_own_variable_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("PROMISE_SEG_ANY", str(tmp_path / "mine"))
    assert cache_folder("any", "PROMISE_SEG_ANY") == tmp_path / "mine"
    monkeypatch.setenv("PROMISE_SEG_ANY", "relative")
    assert cache_folder("any", "PROMISE_SEG_ANY") == Path("relative")


def test_nothing_is_made_by_asking(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("PROMISE_SEG_STORE")
    default_store_folder()
    assert list(tmp_path.iterdir()) == []
