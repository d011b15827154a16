"""The mark by which workers of a cluster know a folder lasts as long as the run, and a folder of nothing does not."""

import os
import time

from promise_seg.storage import strays
from promise_seg.workflows.ray_places import place_of


def test_the_mark_is_renewed_and_goes_with_the_folder_if_nothing_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(strays, "_RENEWAL_SECONDS", 0.01)
    folder, patience = tmp_path / "out", time.monotonic() + 60
    with place_of(folder, ()) as place:
        (mark,) = folder.iterdir()
        assert (str(mark), mark.read_text()) == (place.mark, place.content)
        os.utime(mark, (0, 0))
        while mark.stat().st_mtime == 0:
            assert time.monotonic() < patience
    assert not folder.exists()


def test_a_folder_that_was_there_or_holds_something_stays(tmp_path):
    with place_of(tmp_path, ()):
        pass
    assert list(tmp_path.iterdir()) == []
    with place_of(tmp_path / "out", ()):
        (tmp_path / "out/x").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]
