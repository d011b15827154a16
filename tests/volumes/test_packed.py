"""What is packed comes back as it was."""

import numpy as np

from promise_seg.volumes.packed import PackedMasks


def test_masks_come_back_and_slices_may_differ_in_size():
    rng = np.random.default_rng(0)
    given = [rng.random(shape) > 0.5 for shape in ((5, 7), (3, 3), (4, 4))]
    masks = PackedMasks([one.shape for one in given])
    assert not masks[1].any()
    for number, one in enumerate(given):
        masks[number] = one
    copied = masks.copied()
    masks[0] = np.zeros((5, 7), bool)
    assert all(np.array_equal(copied[number], one) for number, one in enumerate(given))
    assert not masks[0].any()
