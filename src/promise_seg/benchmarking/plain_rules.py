"""The plainest baselines, which need no training: Otsu's threshold, and the mean mask.

Their few parameters are fitted on train rows alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from promise_seg.arrays import BoolArray, Uint8Array, Uint16Array
from promise_seg.assessment.metrics import score_mask
from promise_seg.benchmarking.baseline_objects import Foreground, ObjectRule, choose_object_rule, objects_of
from promise_seg.dataset.checks import CheckedRow
from promise_seg.images.geometry import Box, Geometry
from promise_seg.progress import Progress, counted
from promise_seg.prompting.separating import depths
from promise_seg.vocabulary import MaskKind

MEAN_SIDE = 128
"""The side of the square to which masks are resized before they are averaged, in pixels."""
_THRESHOLDS = np.linspace(0.05, 0.95, 19)
_STAGE = "fitting"


class PlainRule(ABC):
    """A rule that makes masks and whose few parameters are fitted once on train rows.

    ``version`` is raised when the meaning of the parameters changes.
    """

    version: ClassVar[int] = 1
    separates: ClassVar[bool] = False
    """Whether the rule separates objects if masks are instance maps."""

    @abstractmethod
    def fit(self, rows: Sequence[CheckedRow], progress: Progress) -> dict[str, Tensor]:
        """Fit the rule on train rows, and return the parameters that :meth:`mask` needs."""

    @abstractmethod
    def mask(self, row: CheckedRow, fitted: Mapping[str, Tensor]) -> BoolArray:
        """Return the mask (H, W) of a row in the image frame, with the parameters that :meth:`fit` returned."""

    def instances(self, row: CheckedRow, fitted: Mapping[str, Tensor]) -> Callable[[], Uint16Array] | None:
        """Return a function that makes the instance map (H, W) of a row; ``None`` if objects are not separated."""
        return None


def _dice(mask: BoolArray, truth: BoolArray) -> float:
    return score_mask(mask.astype(np.float32), truth).dice


def otsu_mask(image: Uint8Array, *, is_bright: bool) -> BoolArray:
    """Return the pixels above (``is_bright``) or not above Otsu's threshold of the grey levels.

    Shape: (H, W, 3) uint8 RGB to (H, W). Source: Otsu, A threshold selection method from gray-level histograms, 1979.
    """
    threshold, _ = cv2.threshold(_grey(image), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright: BoolArray = _grey(image) > threshold
    return bright if is_bright else ~bright


def _grey(image: Uint8Array) -> Uint8Array:
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


class Side(IntEnum):
    """The side of Otsu's threshold that is foreground: the same for all images, or the smaller side of each image."""

    DARK = 0
    BRIGHT = 1
    FEWER = 2


class OtsuRule(PlainRule):
    """Otsu's threshold. The foreground is the side of it with the best mean Dice on train rows.

    If masks are instance maps, touching objects are separated by a watershed of the distances to the background.
    """

    version = 2
    separates = True

    def fit(self, rows: Sequence[CheckedRow], progress: Progress) -> dict[str, Tensor]:
        dice: dict[Side, list[float]] = {side: [] for side in Side}
        for row in counted(rows, progress, _STAGE):
            truth = row.mask()
            for side, values in dice.items():
                values.append(_dice(self._of_side(row, side), truth))
        best = max((Side.BRIGHT, Side.DARK, Side.FEWER), key=lambda side: float(np.mean(dice[side])))
        fitted = {"side": torch.tensor(int(best))}
        if rows[0].reading.masks == MaskKind.INSTANCES:
            rule = choose_object_rule(rows, lambda row: self._foreground(row, best))
            fitted |= {name: torch.tensor(value, dtype=torch.float64) for name, value in rule._asdict().items()}
        return fitted

    def instances(self, row: CheckedRow, fitted: Mapping[str, Tensor]) -> Callable[[], Uint16Array] | None:
        if "prominence" not in fitted:
            return None
        rule = ObjectRule(*(float(fitted[name]) for name in ObjectRule._fields))
        return lambda: objects_of(self._foreground(row, Side(int(fitted["side"]))), rule)

    def _foreground(self, row: CheckedRow, side: Side) -> Foreground:
        mask = self._of_side(row, side)
        return Foreground(mask, depths(mask))

    def mask(self, row: CheckedRow, fitted: Mapping[str, Tensor]) -> BoolArray:
        return self._of_side(row, Side(int(fitted["side"])))

    def _of_side(self, row: CheckedRow, side: Side) -> BoolArray:
        """Return the mask (H, W). Pixels of a cropped border do not affect the threshold, and are background."""
        mask = np.zeros((row.height, row.width), bool)
        kept = row.crop or Box(0, 0, row.width, row.height)
        part = slice(kept.top, kept.bottom), slice(kept.left, kept.right)
        bright = otsu_mask(row.image()[part], is_bright=True)
        is_bright = bright.sum() * 2 < bright.size if side == Side.FEWER else side == Side.BRIGHT
        mask[part] = bright if is_bright else ~bright
        return mask


class MeanMaskRule(PlainRule):
    """The mean of all train masks, each stretched to a square, above the threshold with the best mean Dice on train
    rows. This mask does not depend on the image."""

    def fit(self, rows: Sequence[CheckedRow], progress: Progress) -> dict[str, Tensor]:
        masks = [self._frame(row).mask_to_model(row.mask()) for row in counted(rows, progress, _STAGE)]
        mean = np.mean(masks, axis=0, dtype=np.float32)
        dice = [np.mean([_dice(mean > threshold, mask) for mask in masks]) for threshold in _THRESHOLDS]
        return {"mean": torch.from_numpy(mean), "threshold": torch.tensor(_THRESHOLDS[int(np.argmax(dice))])}

    def mask(self, row: CheckedRow, fitted: Mapping[str, Tensor]) -> BoolArray:
        mean = self._frame(row).logits_to_image(fitted["mean"])  # cropped pixels are far below any threshold
        return (mean > fitted["threshold"]).numpy()

    def _frame(self, row: CheckedRow) -> Geometry:
        return Geometry(row.height, row.width, MEAN_SIDE, crop=row.crop)
