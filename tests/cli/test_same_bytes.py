"""A training with the same seed gives the same bytes, in whatever process."""

import os
import subprocess
import sys

import pytest

from tests.helpers import make_tiny_sam, write_dataset


@pytest.mark.slow
def test_a_training_of_new_settings_gives_the_same_bytes_in_another_process(tmp_path):
    """Nothing hangs on the order of sets of texts, which differs with ``PYTHONHASHSEED``."""
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    manifest = write_dataset(tmp_path / "data", ("train",) * 3 + ("val",))
    for number in ("1", "2"):
        words = ["train", manifest, "--apm", "pretrained", "--apm-side", "32", "--image-size", "32", "--epochs", "1",
                 "--batch-size", "2", "--views", "1", "--device", "cpu", "--sam", tmp_path / "sam",
                 "--store", tmp_path / f"store {number}", "-o", tmp_path / number]  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "promise_seg", *map(str, words)], check=True, capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": number, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    first, second = (
        {
            path.relative_to(tmp_path / number): path.read_bytes()
            for path in (tmp_path / number).rglob("model.safetensors")
        }
        for number in ("1", "2")
    )
    assert sorted(map(str, first)) == ["best/model.safetensors", "last/model.safetensors"]
    assert first == second
