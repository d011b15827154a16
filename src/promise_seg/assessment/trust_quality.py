"""The quality of the trust scores of some images, as saved in a summary and in a calibration."""

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Covered(_Part):
    """The mean Dice of the most trusted share (``coverage``) of the images."""

    coverage: float
    dice: float


class Bin(_Part):
    """The mean trust and mean Dice of images with similar trust."""

    trust: float
    dice: float
    images: int


class NothingHere(_Part):
    """The quality of the decision that an image shows no object.

    A false alarm is a prediction where the ground truth is empty; a miss is an empty prediction where there is an
    object. A rate is ``None`` if there are no images of its kind.
    """

    rule: str
    images_without_object: int
    false_alarms: int
    false_alarm_rate: float | None
    images_with_object: int
    misses: int
    miss_rate: float | None


class TrustQuality(_Part):
    """The quality of the trust scores of some images.

    Args:
        images: the number of images.
        rank_correlation: Spearman's correlation of trust and Dice; ``None`` if either is the same for all images.
        rank_correlation_interval: its 95 % interval, by a bootstrap over groups; ``None`` if it cannot be estimated,
            and for fewer than four groups, except in older files.
        risk_coverage: the mean Dice at 20 coverages; the last is that of all images.
        area_under_risk: the mean of 1 - Dice over these coverages; lower is better.
        area_by_chance, area_ideal: the same if images were ranked at random, or by their Dice.
        calibration: up to five bins of nearly equal size, the least trusted first; images with equal trust
            share a bin, except in older files.
        mean_absolute_error: the mean absolute error of trust as a prediction of Dice.
        nothing_here: the quality of the decision that an image shows no object.
    """

    images: int
    rank_correlation: float | None
    rank_correlation_interval: tuple[float, float] | None
    risk_coverage: tuple[Covered, ...]
    area_under_risk: float
    area_by_chance: float
    area_ideal: float
    calibration: tuple[Bin, ...]
    mean_absolute_error: float
    nothing_here: NothingHere

    @property
    def is_constant(self) -> bool:
        """Whether all images have the same trust score, which then cannot rank them."""
        return len({part.trust for part in self.calibration}) == 1
