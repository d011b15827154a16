from types import SimpleNamespace

import numpy as np
import pytest

from promise_seg.assessment import tuning
from promise_seg.assessment.evaluation import Assessment
from promise_seg.assessment.tuning import candidates, tune
from promise_seg.inference.encoding import Sample
from promise_seg.inference.rows import DecodedRow
from promise_seg.rules.postprocessing import NO_POST, PostProcessing
from promise_seg.vocabulary import PromptSource
from tests.helpers import make_model


@pytest.fixture
def decoded_as(tiny_sam, checked, monkeypatch):
    """Rows decoded to what a function makes of their true masks."""

    def use(change):
        def decode(model, rows, assessment, store):
            for row in rows:
                sample = Sample.of(row, tiny_sam, model.config.fit)
                probs = change(row.mask())
                yield DecodedRow(sample, SimpleNamespace(probs=lambda choice, probs=probs: probs))

        monkeypatch.setattr(tuning, "decode_rows", decode)
        assessment = Assessment(prompts=PromptSource.APM)
        return tune(make_model(tiny_sam), checked, assessment)

    return use


def test_candidates_begin_with_nothing_and_are_all_different():
    assert candidates()[0] == NO_POST
    assert len(set(map(repr, candidates()))) == len(candidates()) == 5 * 4 * 4 * 2 * 2


def test_a_threshold_that_is_needed_is_found(decoded_as):
    found = decoded_as(lambda mask: np.where(mask, 0.45, 0.1).astype(np.float32))
    assert found.chosen == PostProcessing(threshold=0.4)
    assert (found.dice, found.dice_without) == (1, 0)


def test_specks_are_removed(decoded_as):
    def with_speck(mask):
        probs = mask.astype(np.float32)
        probs[0, 0] = probs[29, 39] = 1
        return probs

    found = decoded_as(with_speck)
    assert found.chosen == PostProcessing(keep="largest")
    assert found.dice == 1 > found.dice_without


def test_nothing_is_chosen_where_nothing_helps(decoded_as):
    found = decoded_as(lambda mask: mask.astype(np.float32))
    assert found.chosen == NO_POST
    assert found.dice == found.dice_without == found.best_dice == 1
