"""Degradations by cameras and file formats for which MONAI has no transform, or only a slow one.

All transforms work on images (C, S, S) in grey levels, with C = 1 or 3 (RGB), and round them to integers. This module
imports MONAI, which takes seconds; only recipes use it.
"""

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, Literal

import cv2
import numpy as np
import torch
from monai.transforms import MapTransform, RandomizableTransform
from torch import Tensor

from promise_seg.arrays import Uint8Array


def to_grey_values(image: Tensor) -> Uint8Array:
    """Convert (C, S, S) to (S, S, C) uint8: rounded, and clipped to black and white."""
    return np.ascontiguousarray(image.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())


class RandDegraded(RandomizableTransform, MapTransform):
    """A degradation of the pixels of an image with OpenCV; subclasses define it and draw its strength."""

    def __init__(self, keys: str, prob: float, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)

    @abstractmethod
    def degraded(self, image: Uint8Array) -> Any:
        """Degrade (S, S, C) uint8 RGB; the result may lack the last axis if C is 1, as in OpenCV."""

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        changed = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in self.key_iterator(changed):
                image = to_grey_values(torch.as_tensor(changed[key]))
                result = np.asarray(self.degraded(image)).reshape(image.shape)
                changed[key] = torch.from_numpy(np.ascontiguousarray(result.transpose(2, 0, 1))).float()
        return changed


class RandClahed(RandDegraded):
    """CLAHE on lightness, on 8 x 8 tiles, with a clip limit drawn from ``clip``."""

    def __init__(self, keys: str, prob: float, clip: tuple[float, float], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.clip = clip

    def randomize(self, data: Any = None) -> None:
        super().randomize(data)
        self._clip = float(self.R.uniform(*self.clip))

    def degraded(self, image: Uint8Array) -> Any:
        clahe = cv2.createCLAHE(self._clip, (8, 8))
        if image.shape[2] == 1:
            return clahe.apply(image)
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        lab[..., 0] = clahe.apply(lab[..., 0])
        return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


class RandJpegd(RandDegraded):
    """JPEG compression with a quality drawn from ``quality``, both ends included."""

    def __init__(self, keys: str, prob: float, quality: tuple[int, int], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.quality = quality

    def randomize(self, data: Any = None) -> None:
        super().randomize(data)
        self._quality = int(self.R.randint(self.quality[0], self.quality[1] + 1))

    def degraded(self, image: Uint8Array) -> Any:
        _, coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        read = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR if image.shape[2] == 3 else cv2.IMREAD_GRAYSCALE))
        return read.reshape(image.shape)[..., ::-1]


class RandWindowBlurd(RandDegraded):
    """Mean or median filter with a square window, whose half side is drawn from ``radius``, in whole pixels.

    MONAI's median filter keeps the whole window of each pixel in memory.
    """

    def __init__(
        self,
        keys: str,
        prob: float,
        kind: Literal["mean", "median"],
        radius: tuple[int, int],
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, allow_missing_keys)
        self.kind, self.radius = kind, radius

    def randomize(self, data: Any = None) -> None:
        super().randomize(data)
        self._window = 2 * int(self.R.randint(self.radius[0], self.radius[1] + 1)) + 1

    def degraded(self, image: Uint8Array) -> Any:
        if self.kind == "mean":
            return cv2.blur(image, (self._window, self._window))
        return cv2.medianBlur(image, self._window)
