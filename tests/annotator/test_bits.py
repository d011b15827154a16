"""Masks as they travel."""

import base64
import zlib

import numpy as np
import pytest

from promise_seg.annotator.bits import EMPTY, MaskBits
from promise_seg.annotator.refusals import Refusal


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (30, 40)])
def test_a_mask_comes_back_from_its_bits(shape):
    rng = np.random.default_rng(0)
    for share in (0.02, 0.5, 1.0):
        mask = rng.random(shape) <= share
        assert np.array_equal(MaskBits.of(mask).mask(*shape), mask)


def test_bits_are_those_of_the_bounding_box_row_by_row():
    mask = np.zeros((6, 8), bool)
    mask[2, 3], mask[3, 5] = True, True
    bits = MaskBits.of(mask)
    assert bits.box == (3, 2, 3, 2)
    assert zlib.decompress(base64.b64decode(bits.bits)) == bytes([0b10000100])


def test_an_empty_mask_has_no_bits():
    assert MaskBits.of(np.zeros((4, 4), bool)) == EMPTY
    assert not EMPTY.mask(4, 4).any()


def bits(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("box", "text", "words"),
    [
        ((0, 0, 5, 4), bits(zlib.compress(b"\xff" * 3)), "does not lie inside"),
        ((-1, 0, 2, 2), bits(zlib.compress(b"\xff")), "does not lie inside"),
        ((0, 0, 4, 4), bits(zlib.compress(b"\xff")), "needs 2 bytes"),
        ((0, 0, 4, 4), bits(zlib.compress(b"\xff" * 10_000_000)), "needs 2 bytes"),  # a decompression bomb
        ((0, 0, 4, 4), bits(b"no zlib"), "not base64 of zlib"),
        ((0, 0, 4, 4), "!", "not base64 of zlib"),
        ((0, 0, 4, 4), "é", "not base64 of zlib"),
    ],
)
def test_bits_that_are_not_those_of_the_box_are_refused(box, text, words):
    with pytest.raises(Refusal, match=words):
        MaskBits(box, text).mask(4, 4)
