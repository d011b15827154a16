"""Rotation, zoom and shift in one step, as a MONAI transform. Imports MONAI; only recipes use it."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.transforms import Affine, MapTransform, RandomizableTransform
from monai.utils import ensure_tuple_rep
from torch import Tensor


class RandSimilarityd(RandomizableTransform, MapTransform):
    """Rotate, zoom and shift with a single interpolation; pixels from outside are zero.

    MONAI's ``RandAffined`` draws a zoom for each axis, and its ``RandZoomd`` would interpolate a second time.

    Args:
        keys: the keys of images (C, S, S); all are moved in the same way.
        prob: the probability of a move.
        degrees: the maximum rotation, in either direction.
        zoom: the range of the zoom; above 1 enlarges.
        shift: the maximum shift along each axis, as a share of the side.
        mode: the interpolation for each key.
        allow_missing_keys: whether a key may be absent.
    """

    def __init__(
        self,
        keys: Sequence[str],
        prob: float,
        degrees: float,
        zoom: tuple[float, float],
        shift: float,
        mode: Sequence[str],
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.degrees, self.zoom, self.shift = degrees, zoom, shift
        self.mode = ensure_tuple_rep(mode, len(self.keys))

    def randomize(self, data: Any = None) -> None:
        super().randomize(data)
        self._radians = float(np.deg2rad(self.R.uniform(-self.degrees, self.degrees)))
        self._zoom = float(self.R.uniform(*self.zoom))
        self._shift = self.R.uniform(-self.shift, self.shift, 2)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        moved = dict(data)
        self.randomize()
        if self._do_transform:
            for key, mode in self.key_iterator(moved, self.mode):
                moved[key] = Affine(
                    rotate_params=self._radians,
                    translate_params=(self._shift * moved[key].shape[-1]).tolist(),
                    scale_params=[1 / self._zoom] * 2,  # of the grid at which the result is sampled
                    mode=mode,
                    padding_mode="zeros",
                    image_only=True,
                )(moved[key])
        return moved
