"""An image is said to hold nothing where own prompts are the better for it on validation rows."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from promise_seg.assessment.overlaps import Overlap, ScoredRows
from promise_seg.dataset.checks import CheckedRow
from promise_seg.learning import measuring_best, presence
from promise_seg.learning.presence import best_presence, presence_threshold
from tests.assessment.volume_rows import rows_of
from tests.helpers import first_settings, make_model

GOOD, BAD, MISSED, ALARM, QUIET = (
    Overlap(100, 100, 100), Overlap(1, 100, 100), Overlap(0, 0, 100), Overlap(0, 50, 0), Overlap(0, 0, 0),
)  # fmt: skip


@pytest.mark.parametrize(
    ("presences", "overlaps", "threshold"),
    [
        ([0.1, 0.3, 0.6, 0.9], [ALARM, ALARM, GOOD, GOOD], 0.45),
        ([0.1, 0.3, 0.6, 0.9], [ALARM, GOOD, ALARM, GOOD], 0.2),  # as good as 0.75, which would hide an object
        ([0.1, 0.3, 0.6, 0.9], [BAD, BAD, ALARM, GOOD], 0.75),  # these masks are of no use anyway
        ([0.1, 0.3, 0.6, 0.9], [MISSED, GOOD, QUIET, GOOD], 0.0),  # nothing can be gained: nothing is emptied
        ([0.5, 0.5], [GOOD, ALARM], 0.0),  # cannot be told apart: nothing is emptied
    ],
)
def test_a_mask_is_emptied_where_that_is_better(checked, presences, overlaps, threshold):
    scored = ScoredRows(checked[: len(overlaps)], as_volumes=False)
    found = best_presence(np.array(presences), overlaps, scored)
    assert found == pytest.approx(threshold)


def test_the_lowest_threshold_with_most_of_the_gain_is_taken(checked):
    overlaps = [ALARM, GOOD, Overlap(0, 50, 0), Overlap(100, 101, 100)]
    scored = ScoredRows(checked[:4], as_volumes=False)
    assert best_presence(np.array([0.1, 0.3, 0.6, 0.9]), overlaps, scored) == pytest.approx(0.2)
    overlaps = [ALARM, Overlap(1, 400, 100), ALARM, GOOD]  # the first is half of the gain, and the next mask is bad
    assert best_presence(np.array([0.1, 0.3, 0.6, 0.9]), overlaps, scored) == pytest.approx(0.75)
    overlaps = [ALARM, Overlap(1, 5, 5), ALARM, *[GOOD] * 97]  # however few the images with nothing are
    scored = ScoredRows(checked[:1] * 100, as_volumes=False)
    assert best_presence(np.linspace(0.1, 0.9, 100), overlaps, scored) > 0.1


@pytest.mark.parametrize("as_volumes", [False, True])
def test_slices_of_volumes_are_scored_as_one_mask(as_volumes, tiny_sam, monkeypatch):
    """The least present slices hold a pixel each, the next nothing, where a whole slice is found."""
    truth = np.zeros((4, 8, 8), bool)
    truth[0], truth[1:3, 0, 0] = True, True
    masks = truth.copy()
    masks[3] = True
    logits = iter([3.0, -2.0, -1.0, 0.0])
    model = make_model(tiny_sam)

    def decode(model, features, proposal, geometry):
        return SimpleNamespace(probs=lambda _: masks[features].astype(np.float32))

    monkeypatch.setattr(presence, "Sample", SimpleNamespace(of=lambda row, *_: SimpleNamespace(row=row, geometry=None)))
    monkeypatch.setattr(presence, "model_features", lambda samples, *_: samples[0].row.index)
    monkeypatch.setattr(model, "propose", lambda _: SimpleNamespace(presence_logits=torch.tensor([next(logits)])))
    monkeypatch.setattr(presence, "decode_one", decode)
    monkeypatch.setattr(CheckedRow, "mask", lambda row: truth[row.index])
    seen = []
    found = presence_threshold(model, rows_of(truth), None, lambda *step: seen.append(step), as_volumes=as_volumes)
    assert found == pytest.approx((0.5 + torch.tensor(3.0).sigmoid().item()) / 2 if as_volumes else 0.0)
    assert seen


def test_it_is_chosen_for_the_masks_that_the_model_makes(checked, tiny_sam, store, monkeypatch, tmp_path):
    """Also where a second pass was found to help just before."""
    model, twice = make_model(tiny_sam), []

    def threshold(model, *_, **__):
        twice.append(model.config.second_pass)
        return 0.25

    monkeypatch.setattr(measuring_best, "measure_answers", lambda *_: ())
    monkeypatch.setattr(measuring_best, "measure_second_pass", lambda *_, **__: SimpleNamespace(helps=True))
    monkeypatch.setattr(measuring_best, "presence_threshold", threshold)
    (tmp_path / "best").mkdir()
    measuring_best.measure_best(model, tmp_path, checked[:2], store, first_settings())
    assert twice == [True]
    assert (model.config.second_pass, model.config.presence_threshold) == (True, 0.25)


def test_thousands_of_rows_are_judged_by_a_few_hundred_thresholds(checked, monkeypatch):
    rows = 3000
    scored = ScoredRows(checked[:1] * rows, as_volumes=False)
    tried = []
    monkeypatch.setattr(scored, "mean_dice", lambda found: tried.append(sum(one.found == 0 for one in found)) or 0.0)
    best_presence(np.linspace(0, 1, rows), [GOOD] * rows, scored)
    assert len(tried) <= 200
    assert tried == sorted(tried)
    assert (tried[0], tried[-1]) == (0, rows - 1)
