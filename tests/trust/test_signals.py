import numpy as np
import pytest
import torch

from promise_seg.images.geometry import Geometry
from promise_seg.inference.encoding import Sample, sam_features
from promise_seg.prediction.predictor import Predictor
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.trust import signals
from promise_seg.trust.signals import agreement, content_of, measure_signals, soft_dice
from promise_seg.trust.trust_model import trust_in_rows
from promise_seg.vocabulary import Fit


@pytest.fixture
def see(model, rows, trust):
    def of(row):
        sample = Sample.of(row, model.sam, model.config.fit)
        return measure_signals(model, sam_features([sample], model.sam, None), sample.geometry, trust.neighbours)

    return of


@pytest.mark.slow
def test_signals_do_not_depend_on_the_order_of_the_rows_or_on_when_they_are_read(model, rows, trust):
    one, other = trust_in_rows(model, trust, rows["val"]), trust_in_rows(model, trust, rows["val"][::-1])
    assert one == other[::-1]
    assert len({found.signals.agreement for found in one}) > 1


def test_points_that_are_not_moved_give_the_same_mask(see, rows, monkeypatch):
    monkeypatch.setattr(signals, "JITTER", 0.3)
    assert see(rows["val"][0]).signals.agreement < 1
    monkeypatch.setattr(signals, "JITTER", 0.0)
    assert see(rows["val"][0]).signals.agreement == pytest.approx(1, abs=1e-6)


def test_the_mask_is_the_one_that_is_predicted(see, model, rows):
    for row in rows["val"][:4]:
        predicted = Predictor(model).predict(row.image())
        found = see(row)
        assert np.mean(found.mask != predicted.mask) < 0.01  # last digits differ with the number of sets
        assert found.signals.predicted_iou == pytest.approx(predicted.predicted_iou, abs=1e-4)
        assert found.signals.peak == pytest.approx(float(predicted.mask_probs.max()), abs=1e-4)


def test_the_mask_is_post_processed(see, model, rows):
    model.config = model.config.model_copy(update={"postprocessing": PostProcessing(threshold=0.999)})
    found = see(rows["val"][0])
    assert not found.mask.any()
    assert (found.signals.area_share, found.signals.agreement) == (0, 1)
    assert found.signals.soft_dice == pytest.approx(1 - found.signals.peak, abs=1e-6)


def test_agreement_by_hand():
    mask = torch.tensor([[True, True], [False, False]])
    same, half, none = mask, torch.tensor([[True, False], [True, False]]), torch.zeros(2, 2, dtype=torch.bool)
    assert agreement(mask, torch.stack([same, half, none])) == pytest.approx((1 + 0.5 + 0) / 3)
    assert agreement(none, torch.stack([none, none])) == 1


class OnApple(torch.Tensor):
    """Stands for a tensor on a device of Apple's, which has no double precision."""

    def cpu(self):
        return self.as_subclass(torch.Tensor)

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")


def test_agreement_needs_no_double_precision_of_the_device():
    masks = torch.tensor([[[True, True], [False, False]], [[True, False], [True, False]]]).as_subclass(OnApple)
    assert isinstance((masks[0] & masks[1:]).sum((1, 2)), OnApple)
    assert agreement(masks[0], masks[1:]) == 0.5


def test_soft_dice_by_hand():
    mask_probs = np.array([[0.9, 0.6, 0.1]], np.float32)
    assert soft_dice(mask_probs, mask_probs > 0.5) == pytest.approx(2 * 1.5 / (1.6 + 2))
    assert soft_dice(mask_probs, mask_probs > 0.95) == pytest.approx(0.1, abs=1e-6)


def test_padding_takes_no_part():
    wide = Geometry(height=10, width=40, side=32, fit=Fit.PAD)
    masks = torch.zeros(2, 16, 16)
    masks[:, 4:] = 1
    assert content_of(masks, wide).shape == (2, 4, 16)
    assert not content_of(masks, wide).any()
    assert content_of(masks, Geometry(10, 40, 32)).shape == (2, 16, 16)
