"""Choices on validation rows are those that are best in volumes, where rows are slices of these."""

import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from promise_seg.dataset.checks import CheckedRow
from promise_seg.inference.encoding import Sample
from promise_seg.inference.masks import Masks
from promise_seg.inference.rows import DecodedRow
from promise_seg.learning import validation
from promise_seg.learning.validation import MASK_SHARES, validate
from promise_seg.prompting.apm import Proposal
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import Fit, MaskChoice, Protocol
from tests.assessment.volume_rows import rows_of
from tests.helpers import first_settings

SIDE = 8
TRUTH = np.zeros((3, SIDE, SIDE), bool)
TRUTH[0], TRUTH[1, 0, 0], TRUTH[2, 0, 0] = True, True, True
LARGE, SMALL = TRUTH.copy(), TRUTH.copy()
LARGE[1:] = False
SMALL[0] = False
"""Masks that find the one large slice, and masks that find the two small ones."""


@pytest.fixture
def chosen(monkeypatch):
    """Chooses for a model whose first mask and saliency find some slices, and whose other masks others.

    ``learned_iou`` is what the model has learned of its three masks, for each slice.
    """

    def choose(first, others, saliency=None, learned_iou=None, **settings):
        def decode(model, rows, *_):
            for row in rows:
                sample = Sample(row, None, SIDE, Fit.STRETCH)
                masks = np.stack([first[row.index], *[others[row.index]] * 2])[None]
                prompts = Prompts()
                if saliency is not None:
                    prompts = Proposal(saliency_logits=logits(saliency[row.index])[None], regions=torch.zeros(1, 2, 2))
                learned = None if learned_iou is None else torch.tensor([learned_iou[row.index]])
                found = Masks(logits(masks), torch.zeros(1, 3), sample.geometry, learned)
                yield DecodedRow(sample, found, prompts=prompts)

        monkeypatch.setattr(validation, "decode_rows", decode)
        monkeypatch.setattr(CheckedRow, "mask", lambda row: TRUTH[row.index])
        config = SimpleNamespace(model_copy=lambda update: None)
        model = SimpleNamespace(apm=None, quality=learned_iou, config=config)
        return validate(model, rows_of(TRUTH), None, first_settings(**settings))

    return choose


def logits(masks):
    return torch.from_numpy(np.where(masks, 9.0, -9.0).astype(np.float32))


def test_slices_of_a_volume_are_scored_as_one_mask(chosen):
    by_slices, by_volumes = (chosen(SMALL, LARGE, scores_volumes=volumes) for volumes in (False, True))
    assert (by_slices.mask_choice, by_volumes.mask_choice) == (MaskChoice.FIRST, MaskChoice.SECOND)
    assert by_slices.dice == pytest.approx(2 / 3)
    assert by_volumes.dice == pytest.approx(2 * 64 / (64 + 66))


def test_so_is_the_share_of_the_map(chosen):
    by_slices, by_volumes = (chosen(LARGE, LARGE, SMALL, scores_volumes=volumes) for volumes in (False, True))
    assert by_slices.map_share > 0.5
    assert by_volumes.map_share < 0.5
    assert {by_slices.map_share, by_volumes.map_share} <= set(MASK_SHARES)


@pytest.mark.parametrize(
    "values", [{}, {"scores_volumes": True}, {"saliency": TRUTH}], ids=["images", "volumes", "with a map"]
)
def test_what_was_learned_of_the_masks_chooses_where_it_finds_the_best_one_of_each_image(chosen, values):
    knowing = [[0.9, 0.2, 0.1], [0.1, 0.9, 0.2], [0.1, 0.2, 0.9]]
    mistaken = [[0.1, 0.2, 0.9], [0.9, 0.1, 0.2], [0.9, 0.1, 0.2]]
    found = chosen(LARGE, SMALL, learned_iou=knowing, **values)
    assert (found.mask_choice, found.dice) == (MaskChoice.LEARNED, 1)
    assert chosen(LARGE, SMALL, learned_iou=mistaken, **values).mask_choice != MaskChoice.LEARNED
    assert chosen(LARGE, SMALL, **values).mask_choice != MaskChoice.LEARNED


def test_the_protocol_of_the_paper_scores_each_image(chosen, monkeypatch):
    monkeypatch.setattr(Sample, "mask", lambda sample: TRUTH[sample.checked.index])
    found = [chosen(SMALL, LARGE, scores_volumes=volumes, protocol=Protocol.REFERENCE) for volumes in (False, True)]
    assert found[0] == found[1]


@pytest.mark.parametrize("volumes", [False, True])
@pytest.mark.parametrize("rows_kept", [0, 1, 2, 3])
def test_rows_that_are_not_kept_are_decoded_again_with_the_same_result(chosen, monkeypatch, rows_kept, volumes):
    wanted = chosen(LARGE, SMALL, SMALL, scores_volumes=volumes)
    size = 3 * SIDE**2 * 4 + 3 * 4 + SIDE**2 * 4 + 2 * 2 * 4  # masks, their IoU, the map and its regions, 4 bytes each
    monkeypatch.setattr(validation, "MOST_BYTES_KEPT", rows_kept * size)
    kept = []
    real = validation.islice
    monkeypatch.setattr(validation, "islice", lambda rows, first, last: kept.append(first) or real(rows, first, last))
    assert chosen(LARGE, SMALL, SMALL, scores_volumes=volumes) == wanted
    assert kept == ([rows_kept] if rows_kept < 3 else [])


@pytest.mark.parametrize("volumes", [False, True])
def test_without_a_map_no_row_is_held_until_the_next_ones_are_decoded(chosen, monkeypatch, volumes):
    alive = weakref.WeakSet()
    real = validation._kept

    def kept(row):
        assert len(alive) <= 1
        found = real(row)
        alive.add(found.sample)
        return found

    monkeypatch.setattr(validation, "_kept", kept)
    chosen(LARGE, SMALL, scores_volumes=volumes)
