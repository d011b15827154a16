import pytest
import torch

from promise_seg.compat.sam_differences import parts_that_differ, undo_rounding
from promise_seg.errors import CheckpointError
from promise_seg.sam.backbone import weights_sha256
from promise_seg.sam.resizing import resize
from promise_seg.sam.tuned import TunedSam
from promise_seg.vocabulary import TrainAlso
from tests.helpers import make_tiny_sam


def test_sams_of_other_sizes_or_position_codes_are_refused(tiny_sam):
    other = make_tiny_sam(3).model
    with pytest.raises(CheckpointError, match="its position code differs"):
        parts_that_differ(tiny_sam.model, other)
    with pytest.raises(CheckpointError, match="has another size"):
        parts_that_differ(tiny_sam.model, resize(tiny_sam.model, 48))


@pytest.mark.parametrize("level", list(TrainAlso))
def test_the_level_is_the_least_that_explains_what_changed(level, tiny_sam):
    tuned = TunedSam(tiny_sam, TrainAlso.EVERYTHING).model
    with torch.no_grad():
        for part in level.parts:
            next(p for name, p in getattr(tuned, part).named_parameters() if "positional" not in name).add_(1)
    assert parts_that_differ(tiny_sam.model, tuned) == level


def test_rounding_is_undone_but_no_training(tiny_sam):
    other = make_tiny_sam().model
    state = {name: v.half().float() for name, v in other.state_dict().items()}
    state["mask_decoder.iou_token.weight"] = (state["mask_decoder.iou_token.weight"] + 1).half().float()
    other.load_state_dict(state)
    undo_rounding(tiny_sam.model, other, dict.fromkeys(state, torch.half))
    assert parts_that_differ(tiny_sam.model, other) == TrainAlso.DECODER
    with torch.no_grad():
        other.mask_decoder.iou_token.weight.copy_(tiny_sam.model.mask_decoder.iou_token.weight)
    assert weights_sha256(other) == tiny_sam.sha256
