"""How good the trust scores of some images are, as a summary and a calibration keep it."""

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Covered(_Part):
    """Mean Dice of the share of images that are trusted most."""

    coverage: float
    dice: float


class Bin(_Part):
    """Mean trust and mean Dice of images that are trusted about equally."""

    trust: float
    dice: float
    images: int


class NothingHere(_Part):
    """The decision that there is nothing. A false alarm says something where the truth is empty; a miss says nothing
    where there is an object. A rate is ``None`` where there are no such images."""

    rule: str
    images_without_object: int
    false_alarms: int
    false_alarm_rate: float | None
    images_with_object: int
    misses: int
    miss_rate: float | None


class Quality(_Part):
    """The quality of the trust scores of some images.

    Args:
        images: how many.
        rank_correlation: of trust and Dice (Spearman); ``None`` where either is the same for all images.
        rank_correlation_interval: 95 %, by a bootstrap that draws whole groups; ``None`` where nothing follows.
        risk_coverage: at 20 coverages, the last being all images.
        area_under_risk: mean of 1 - Dice over these coverages: lower is better.
        area_by_chance, area_ideal: the same if the images were trusted at random, and by their Dice itself.
        calibration: up to five bins of equally many images, the least trusted first.
        mean_absolute_error: of the trust as a guess of the Dice.
        nothing_here: see there.
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
