"""A report as data: everything that its page shows, except the images."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from promise_seg.assessment.summary import Ends, EvaluationSummary
from promise_seg.quantities import images_in_words
from promise_seg.reporting.card import RunCard
from promise_seg.reporting.run_files import Epoch

FORMAT_VERSION: Literal[1] = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReportedEvaluation(EvaluationSummary):
    """A summary, as ``promise evaluate`` writes it, named after its kind of prompts."""

    name: str

    @classmethod
    def of(cls, summary: EvaluationSummary) -> Self:
        """Return a summary with the name of its kind of prompts added."""
        return cls.model_validate(summary.as_json() | {"name": summary.prompts_meaning})

    @property
    def images_words(self) -> str:
        """The number of images and their split, in words; only the number for all splits."""
        return images_in_words(self.images, self.split)


class BudgetRow(_Part):
    """The Dice with one kind of prompts, as ``promise budget`` writes it.

    ``prompts_used`` tells whether the masks depend on the prompts; older files do not have it.
    """

    prompts: str
    reads_the_ground_truth: bool
    prompts_used: bool = True
    draws: int
    dice: float
    interval: Ends | None
    spread_of_draws: float | None


class Worst(_Part):
    """An image with one of the lowest Dice; ``share`` is the share of the image that the ground truth covers."""

    image: str
    dice: float
    iou: float
    share: float
    trust: float | None = None


class RunReport(_Part):
    """A report on one model and the images of one split.

    Args:
        format_version: the version of the format, increased when older programs would misread a report.
        title: the title of the page.
        made_at: the time when the report was made, in UTC.
        card: the run card.
        evaluations: the evaluations; the first is the main one.
        curves: the training curves, one entry per epoch; empty if there is no log.
        budget: the prompt error budget; empty if it was not requested, or cannot be measured.
        budget_notes: the reason why it cannot be measured, or how its own prompts differ from the main evaluation.
        worst: the worst cases of the main evaluation, the lowest Dice first.
    """

    format_version: Literal[1] = FORMAT_VERSION
    title: str
    made_at: datetime
    card: RunCard
    evaluations: tuple[ReportedEvaluation, ...]
    curves: tuple[Epoch, ...] = ()
    budget: tuple[BudgetRow, ...] = ()
    budget_notes: tuple[str, ...] = ()
    worst: tuple[Worst, ...] = ()


def schema() -> dict[str, Any]:
    """Return the JSON schema of ``report.json``."""
    return RunReport.model_json_schema(mode="serialization")
