"""The words of errors."""

import errno

import numpy as np
import pytest
import torch

from promise_seg.errors import first_line, memory_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOENT, "No such file or directory", "a.json"), "No such file or directory"),
        (OSError("cannot identify image file"), "cannot identify image file"),
        (ValueError("the first line.\nthe second line"), "the first line"),
        (ValueError(), "ValueError"),
    ],
)
def test_the_message_of_a_library_is_one_line_without_numbers_and_paths_of_the_system(error, words):
    assert first_line(error) == words


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda: np.zeros((2**30, 2**20)), "not enough memory (8.00 PiB more were needed)"),
        (lambda: torch.zeros((2**30, 2**20)), "not enough memory (4503599627370496 bytes more were needed)"),
        (lambda: torch.zeros((2**40, 2**40)), "not enough memory"),
        (lambda: [][0], None),
        (lambda: torch.zeros(2) @ torch.zeros(3), None),
    ],
)
def test_whoever_lacks_memory_says_so(work, words):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        work()
    assert memory_words(caught.value) == words
