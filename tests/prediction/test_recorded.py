"""What logs say of files is compared with the files, many at a time."""

import numpy as np
import pytest

from promise_seg.images.exports.input_list import InputList
from promise_seg.images.exports.inputs import Input
from promise_seg.parallel.workers import Workers
from promise_seg.prediction.line_outlines import SUFFIXES
from promise_seg.prediction.part_files import PartFiles
from promise_seg.prediction.recorded import Recorded

PNG, NIFTI = SUFFIXES.index(".png"), SUFFIXES.index(".nii.gz")


@pytest.fixture
def inputs(tmp_path):
    for name in ("in/a.png", "in/b.png", "in/ä.nii.gz", "channel.png", "lost.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"abc")
    for name in ("masks/in/a.png", "masks/in/b.png", "masks/in/ä.nii.gz", "masks/c.png", "masks/lost.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for stem in ("in/a", "in/b", "in/ä", "c", "lost"):
        (tmp_path / "overlays" / f"{stem}.png").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "overlays" / f"{stem}.png").touch()
    return InputList([
        Input(tmp_path / "in/a.png", "in/a"), Input(tmp_path / "in/b.png", "in/b"),
        Input(tmp_path / "in/ä.nii.gz", "in/ä"),
        Input(tmp_path / "channel.png", "c", beside=(tmp_path / "in/a.png",)),  # of which one file was noted
        Input(tmp_path / "lost.png", "lost"),
    ])  # fmt: skip


@pytest.mark.parametrize("count", [1, 2])
def test_images_are_as_then_if_nothing_changed(inputs, count, tmp_path):
    numbers, suffixes = np.arange(5), np.array([PNG, PNG, NIFTI, PNG, PNG], np.uint8)
    sizes, changes = np.array([one.state()[0] for one in inputs]).T

    def as_then(have_keys=(True,) * 5):
        recorded, found = Recorded(inputs), {}
        recorded.note(numbers, sizes, changes, suffixes, np.array(have_keys))
        recorded.forget(4)
        for some, are_as_then in recorded.as_then(PartFiles(tmp_path, has_objects=False), workers):
            found |= dict(zip(some.tolist(), are_as_then.tolist(), strict=True))
        return found

    with Workers(count) as workers:
        assert as_then() == {0: True, 1: True, 2: True, 3: False}
        assert as_then((False, True, True, True, True)) == {0: False, 1: True, 2: True, 3: False}
        changes[1] += 1
        (tmp_path / "overlays/in/ä.png").unlink()
        assert as_then() == {0: True, 1: False, 2: False, 3: False}
