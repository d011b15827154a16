"""How a trained model answers given prompts, depending on their form, as measured on validation rows."""

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from promise_seg.sam.prompts import FOREGROUND, Prompts
from promise_seg.vocabulary import MaskChoice, PromptForm

_MANY = 8
FORMS = (*PromptForm, None)
"""All forms of prompts; the last, ``None``, stands for no prompts."""

UNSHIFTED = "answered by the bare SAM, without the learned shift, which was worse on val rows for such prompts"
UNSHIFTED_WITH_MAP = (
    "answered by SAM without the learned shift, which was worse on val rows for such prompts, mixed with the "
    "auto-prompter's map"
)


class Answer(BaseModel):
    """How prompts of one form are answered.

    Args:
        mask_choice: which of SAM's masks is used.
        shifted: whether the learned shift is used; not if the bare SAM was better on validation rows.
        map_share: share of the APM's saliency logits in the mask logits, within the limits that the prompts set.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mask_choice: MaskChoice
    shifted: bool = True
    map_share: float = Field(0.0, ge=0, le=1)

    @property
    def note(self) -> str:
        """A note for users of a model with a shift if an answer does not use it; otherwise empty."""
        if self.shifted:
            return ""
        return UNSHIFTED_WITH_MAP if self.map_share else UNSHIFTED


def form_of(prompts: Prompts) -> PromptForm | None:
    """Return the form of given prompts; ``None`` if there are neither points nor boxes."""
    labels = prompts.point_labels
    points = 0 if labels is None else int((labels >= 0).sum(-1).max())
    if prompts.boxes_xyxy_model is not None:
        return PromptForm.BOX_AND_POINTS if points else PromptForm.BOX
    if labels is None or not points:
        return None
    if points == 1 and not bool(torch.any(labels == FOREGROUND)):
        return PromptForm.POINTS
    return form_of_points(points)


def form_of_points(count: int) -> PromptForm:
    """Return the form of a number of points, of which the first is foreground."""
    if count == 1:
        return PromptForm.POINT
    return PromptForm.POINTS if count < _MANY else PromptForm.MANY_POINTS


def form_number(points: Tensor, has_foreground: Tensor, has_boxes: Tensor) -> Tensor:
    """Return the index of a form in :data:`FORMS`, by the rules of :func:`form_of` without branches, for graph export.

    Shape: the number of points, whether any point is foreground, and whether there are boxes, each (), to ().
    """
    number = {form: torch.tensor(place) for place, form in enumerate(FORMS)}
    single = torch.where(has_foreground, number[PromptForm.POINT], number[PromptForm.POINTS])
    several = torch.where(points < _MANY, number[PromptForm.POINTS], number[PromptForm.MANY_POINTS])
    some = torch.where(points == 1, single, several)
    with_box = torch.where(points > 0, number[PromptForm.BOX_AND_POINTS], number[PromptForm.BOX])
    return torch.where(has_boxes, with_box, torch.where(points > 0, some, number[None]))
