"""Detect which parts of a SAM were changed by training."""

from collections.abc import Mapping

import torch
from transformers import SamModel

from promise_seg.errors import CheckpointError
from promise_seg.sam.official import LIBRARY_POSITIONS
from promise_seg.sam.pickles import differences
from promise_seg.vocabulary import TrainAlso

_POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"


def parts_that_differ(base: SamModel, other: SamModel) -> TrainAlso:
    """Return the smallest freeze level under which training could have turned ``base`` into ``other``.

    Raises:
        CheckpointError: if the SAMs have different sizes, or differ in a part that training never changes.
    """
    before, after = base.state_dict(), other.state_dict()
    if wrong := differences(after, before):
        raise CheckpointError(f"the SAM in the file has another size than the one given: {wrong}")
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name].cpu(), after[name].cpu())}
    if "shared_image_embedding" in changed:
        raise CheckpointError("the SAM in the file is not the one given: its position code differs")
    return next(level for level in TrainAlso if changed <= {*level.parts})


@torch.no_grad()
def undo_rounding(base: SamModel, other: SamModel, narrow: Mapping[str, torch.dtype]) -> None:
    """Restore parameters of ``other`` that are rounded values of ``base``, because these were not trained.

    ``narrow`` maps the names of the parameters stored in half precision to their types.
    """
    exact = base.state_dict()
    for name, value in other.state_dict().items():
        dtype = narrow.get(_POSITIONS if name == LIBRARY_POSITIONS else name)
        if dtype is None or name not in exact or exact[name].shape != value.shape:
            continue
        if torch.equal(exact[name].to(dtype).float(), value):
            value.copy_(exact[name])
