"""A refused start removes what it created, and nothing else."""

import pytest

from promise_seg.annotator.database import Database
from promise_seg.annotator.refused_starts import without_new_database, without_new_folders
from promise_seg.errors import PromiseError


def start(database_of=None, folders_of=None, touched=None, error=PromiseError):
    """Start with everything new in a folder, and be refused."""
    folder = database_of or folders_of
    with without_new_folders(folder) if folders_of else without_new_database(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if database_of:
            Database(folder).close()
        if touched:
            touched.touch()
        raise error("refused")


def test_new_folders_are_removed_unless_they_hold_anything(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(PromiseError, match="refused"):
        start(folders_of=tmp_path / "old/a/b")
    assert list(tmp_path.rglob("*")) == [tmp_path / "old"]
    with pytest.raises(PromiseError, match="refused"):
        start(folders_of=tmp_path / "a/b/c", touched=tmp_path / "a/mine")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine"]


def test_a_database_of_before_is_kept(tmp_path):
    for kept in ([], ["project.sqlite"]):
        with pytest.raises(PromiseError, match="refused"):
            start(database_of=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == kept
        Database(tmp_path).close()


def test_an_interrupted_start_keeps_what_it_read(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        start(database_of=tmp_path, error=KeyboardInterrupt)
    assert (tmp_path / "project.sqlite").exists()
