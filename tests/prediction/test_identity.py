"""Whoever adds to a folder of predictions is told in what it differs from what is asked for."""

import json
from dataclasses import asdict, replace

import pytest

from promise_seg.errors import PromiseError
from promise_seg.prediction.identity import keep_identity
from promise_seg.storage import strays
from promise_seg.storage.holders import Holder

KEPT = {"model": "a", "format": "auto", "names": [], "reading": "--level 3"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (KEPT | {"format": "npy"}, "in another format"),
        (KEPT | {"every": 5}, "of videos with --every 1"),
        ({name: KEPT[name] for name in ("model", "format", "names")}, "with --level 3"),
        ({"model": "a", "format": "auto", "names": [], "slices": "agree"}, "with --slices auto and with --level 3"),
        (KEPT | {"names": ["polyp"], "instances": True}, "under another --name and without separate objects"),
        (KEPT | {"model": "b"}, "of another model"),
        (KEPT | {"model": "b", "format": "npy"}, "of another model"),
    ],
)
def test_all_that_differs_is_named(asked, words, tmp_path):
    keep_identity(tmp_path, KEPT)
    with pytest.raises(PromiseError, match=rf"begun for predictions {words}, and .*\. Delete .*model.json"):
        keep_identity(tmp_path, asked)
    (tmp_path / "masks").mkdir()
    with pytest.raises(PromiseError, match=rf"contains predictions {words}\. Choose another -o folder"):
        keep_identity(tmp_path, asked)
    keep_identity(tmp_path, KEPT)


def test_the_lock_of_a_process_that_was_killed_after_its_work_is_removed(tmp_path):
    keep_identity(tmp_path, KEPT)
    names = sorted(path.name for path in tmp_path.iterdir())
    dead = replace(Holder.this_process(), pid=2**22 + 1)
    (tmp_path / f".{names[0]}.lock").write_text(json.dumps(asdict(dead)))
    strays._cleared.clear()  # as in another process
    keep_identity(tmp_path, KEPT)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
