"""A report as data: all that its page shows, but for the pictures."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from promise_seg.reporting.card import RunCard
from promise_seg.reporting.run_files import Epoch
from promise_seg.trust.quality import Quality

FORMAT_VERSION: Literal[1] = 1
Ends = tuple[float, float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Open(BaseModel):
    """As another command writes it, which may come to say more."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Stratum(_Open):
    """Means over a part of the images."""

    images: int
    groups: int
    dice: float
    dice_interval: Ends | None
    iou: float


class TestLooks(_Open):
    """How often these test rows were looked at, by this model and by others before, and by other runs beside."""

    __test__ = False  # it is no test

    this_model: int
    other_models: int
    note: str | None
    beside_note: str | None = None


class SeenInTraining(_Open):
    """How many of the images the model was trained on, and how many of another split than ``val`` chosen on."""

    trained_on: int
    chosen_on: int
    note: str | None


class Evaluation(_Open):
    """A summary, as ``promise evaluate`` writes it, under the name that its prompts have everywhere."""

    name: str
    prompts: str
    prompts_read_the_ground_truth: bool
    protocol: str
    postprocessing: str
    tolerance: str
    split: str
    images: int
    groups: int
    images_with_empty_truth: int
    images_with_empty_prediction: int
    rule_for_nothing: str
    mean: dict[str, float]
    interval: dict[str, Ends | None]
    strata: dict[str, dict[str, Stratum]]
    objects: int | None = None
    object_dice: float | None = None
    test_looks: TestLooks | None = None
    seen_in_training: SeenInTraining | None = None
    trust: Quality | None = None
    trust_calibrated_on_these_rows: bool = False

    @property
    def images_words(self) -> str:
        """How many images of which split; of all of them only how many."""
        return f"{self.images:,} images" if self.split == "all" else f"{self.images:,} {self.split} images"


class Budget(_Part):
    """Dice with one kind of prompts, as ``promise budget`` writes it."""

    prompts: str
    reads_the_ground_truth: bool
    draws: int
    dice: float
    interval: Ends | None
    spread_of_draws: float | None


class Worst(_Part):
    """One of the images with the lowest Dice; ``share`` is that of the image which the truth covers."""

    image: str
    dice: float
    iou: float
    share: float
    trust: float | None = None


class RunReport(_Part):
    """One model on the images of one split.

    Args:
        format_version: changes when older programs would misread a report.
        title: of the page.
        made_at: in UTC.
        card: what all is of.
        evaluations: the first is the main one.
        curves: of training, an entry for each epoch; none where there is no log.
        budget: none where it was not asked for.
        worst: images of the main evaluation, the lowest Dice first.
    """

    format_version: Literal[1] = FORMAT_VERSION
    title: str
    made_at: datetime
    card: RunCard
    evaluations: tuple[Evaluation, ...]
    curves: tuple[Epoch, ...] = ()
    budget: tuple[Budget, ...] = ()
    worst: tuple[Worst, ...] = ()


def schema() -> dict[str, Any]:
    """JSON schema of ``report.json``."""
    return RunReport.model_json_schema(mode="serialization")
