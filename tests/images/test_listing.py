"""Names that no table and no file can hold are said, and end no run."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.exports.contents import look_through
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.listing import name_fault

needs_bytes = pytest.mark.skipif(sys.platform != "linux", reason="file names are any bytes")


@pytest.fixture
def folder(tmp_path):
    for name in ("good.png", os.fsdecode(b"bad\xff.png")):
        with (tmp_path / name).open("wb") as file:
            Image.fromarray(np.zeros((4, 5), np.uint8)).save(file, "PNG")
    return tmp_path


@needs_bytes
def test_a_name_that_is_no_utf_8_is_left_out_with_a_note(folder):
    found = look_through(folder)
    assert [path.name for path in found.pictures] == ["good.png"]
    (note,) = found.notes()
    assert "bad\\udcff.png: its name is not valid UTF-8, so that no table can hold it. Rename it. Left out" in note
    note.encode()


@needs_bytes
def test_such_a_folder_is_left_out_too(folder):
    (folder / os.fsdecode(b"of\xe9")).mkdir()
    assert len(look_through(folder).closed) == 1
    assert "1 more for this reason" in look_through(folder).closed[0]


@needs_bytes
def test_it_is_refused_where_it_is_named(folder):
    bad = next(path for path in folder.iterdir() if path.name.startswith("bad"))
    with pytest.raises(ImageError, match="its name is not valid UTF-8"):
        find_inputs([bad])


def test_any_unicode_is_a_name(tmp_path):
    assert name_fault(tmp_path / "图像 ñ.png") is None
