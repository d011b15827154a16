from dataclasses import replace

import numpy as np
import torch

from promise_seg.assessment.reference_scoring import score_by_reference
from promise_seg.inference.encoding import Sample
from promise_seg.vocabulary import Fit, Protocol, Variant
from tests.helpers import make_model


class Fake(Sample):
    """A sample whose truth in the model frame is given."""

    def mask(self):
        return TRUTH


TRUTH = np.zeros((1024, 1024), bool)
TRUTH[100:301, 400:601] = True


def sample(checked):
    return Fake(**vars(replace(Sample(checked[0], None, 1024, Fit.STRETCH))))


def logits_of(mask):
    return torch.from_numpy(np.where(mask, 5.0, -5.0).astype(np.float32))


def test_every_touched_pixel_of_the_truth_counts(checked):
    """201 x 201 px at 1024 touch 51 x 51 cells of 4 px, the last with a quarter of its middle: scores are of these."""
    cells = np.zeros((256, 256), bool)
    cells[25:75, 100:150] = True
    scores = score_by_reference(sample(checked), logits_of(cells))
    assert scores.precision == 1
    shrunk = torch.nn.functional.interpolate(
        torch.from_numpy(TRUTH)[None, None].float(), size=(256, 256), mode="bilinear"
    )
    assert scores.recall == 50 * 50 / int((shrunk > 0).sum())


def test_predictions_are_opened_with_a_kernel_of_five(checked):
    mask = np.zeros((256, 256), bool)
    mask[25:76, 100:151] = True
    alone = score_by_reference(sample(checked), logits_of(mask))
    mask[200:204, 20:24] = True  # 4 x 4: gone after the opening
    assert score_by_reference(sample(checked), logits_of(mask)) == alone
    mask[200:205, 20:25] = True  # 5 x 5: stays
    assert score_by_reference(sample(checked), logits_of(mask)).precision < alone.precision


def test_other_mask_sizes_are_brought_to_256(checked):
    assert score_by_reference(sample(checked), torch.full((64, 64), -5.0)).dice == 0


def test_the_protocol_takes_the_first_mask_and_one_stream_of_points(checked, tiny_sam):
    from promise_seg.assessment.evaluation import Assessment, evaluate
    from promise_seg.vocabulary import PromptSource

    model = make_model(tiny_sam, Variant.IPS)

    def predicted(rows, **values):
        assessment = Assessment(prompts=PromptSource.ORACLE, **values)
        return {r.checked.row.where: r.predicted_iou for r in evaluate(model, rows, assessment)}

    ours, backwards = predicted(checked), predicted(checked[::-1])
    assert all(abs(ours[k] - backwards[k]) < 1e-5 for k in ours)  # fixed for each image
    theirs, turned = (predicted(rows, protocol=Protocol.REFERENCE) for rows in (checked, checked[::-1]))
    assert max(abs(theirs[k] - turned[k]) for k in theirs) > 1e-3  # by the order of the rows
