"""Whoever adds to a folder of predictions is told in what it differs from what is asked for."""

import pytest

from promise_seg.errors import PromiseError
from promise_seg.prediction.identity import keep_identity

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
    with pytest.raises(PromiseError, match=rf"contains predictions {words}\. Choose another -o folder"):
        keep_identity(tmp_path, asked)
    keep_identity(tmp_path, KEPT)
