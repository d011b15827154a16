"""Files are compared with what they were, many of a folder at a time."""

import os

import pytest

from promise_seg.images.exports import file_states
from promise_seg.images.exports.file_states import have_states


@pytest.mark.parametrize("few", [0, 100])
def test_files_are_compared_with_what_they_were(few, tmp_path, monkeypatch):
    monkeypatch.setattr(file_states, "_FEW", few)
    for name in ("a", "ä", "c"):
        (tmp_path / name).write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    changes = [(tmp_path / name).stat().st_mtime_ns for name in ("a", "ä", "c", "c", "link")]
    names = [os.fsencode(name) for name in ("a", "ä", "c", "c", "link", "missing", "not\0possible")]
    sizes, changes = [3, 3, 4, 3, 3, 3, 3], [*changes, 0, 0]
    changes[3] += 1
    found = have_states(os.fsencode(f"{tmp_path}/"), names, sizes, changes)
    assert found == [True, True, False, False, True, False, False]
    assert have_states(os.fsencode(f"{tmp_path}/missing/"), names[:1], [3], changes[:1]) == [False]
    monkeypatch.chdir(tmp_path)
    assert have_states(b"", names[:1], [3], changes[:1]) == [True]
