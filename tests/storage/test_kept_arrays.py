"""What is on the disk comes back as it was."""

import io
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from promise_seg.errors import PromiseError
from promise_seg.storage.kept_arrays import KeptArrays


def test_arrays_come_back_also_after_they_were_replaced():
    kept = KeptArrays()
    first, second = np.arange(6, dtype=np.float16).reshape(2, 3), np.float32([1, 2])
    kept.put("a", first)
    kept.put(("b", 1), second)
    kept.put("a", first + 1)
    kept.put(("b", 1), np.zeros((0, 4)))
    assert np.array_equal(kept.get("a"), first + 1)
    assert kept.get("a").dtype == np.float16
    assert kept.get(("b", 1)).shape == (0, 4)
    assert ("b", 2) not in kept
    kept.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a file of Linux that has no space")
def test_a_full_disk_is_said_where_an_array_is_kept_and_nowhere_else(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(io.open, "/dev/full", "r+b"))
    kept = KeptArrays()
    with pytest.raises(PromiseError, match=r"No space left on device. Free some space, or set TMPDIR"):
        kept.put(0, np.zeros(3))
    assert 0 not in kept
    kept.close()
