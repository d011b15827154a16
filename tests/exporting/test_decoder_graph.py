"""The graph of the decoder answers prompts of every form as the model does."""

import pytest
import torch

from promise_seg.exporting.writing import graphs_of
from promise_seg.model import bare_model, choose_mask
from promise_seg.prompting.apm import Proposal
from promise_seg.prompting.given_prompts import FORMS, form_number, form_of
from promise_seg.sam.prompts import Prompts
from tests.exporting.models import GIVEN, shifted_model
from tests.helpers import TINY_SIDE


def prompts_of(points: int, boxes: int, labels: list[int] | None = None) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(points)
    drawn = torch.tensor(labels or [n % 2 == 0 for n in range(points)], dtype=torch.long).reshape(1, -1)
    return {
        "points": torch.rand(1, points, 2, generator=generator) * TINY_SIDE,
        "labels": drawn,
        "boxes": torch.tensor([[[3.0, 5.0, 20.0, 28.0]]])[:, :boxes],
    }


def as_prompts(given: dict[str, torch.Tensor], kind: type[Prompts] = Prompts) -> Prompts:
    points, boxes = given["points"].shape[1], given["boxes"].shape[1]
    return kind(
        points_xy_model=given["points"][None] if points else None,
        point_labels=given["labels"][None] if points else None,
        boxes_xyxy_model=given["boxes"][None, :, 0] if boxes else None,
    )


@pytest.fixture(scope="module")
def model(tiny_sam):
    return shifted_model(tiny_sam)


@pytest.fixture(scope="module")
def graphs(model):
    return {graph.name: graph for graph in graphs_of(model, "model")}


@pytest.fixture(scope="module")
def features(model, graphs):
    return model.sam.encode(graphs["encoder"].examples[1]["image"])


CASES = [(1, 0, [1]), (1, 0, [0]), (2, 0, None), (8, 0, None), (16, 0, None), (0, 1, None), (1, 1, [1]), (20, 1, None)]


@pytest.mark.parametrize(("points", "boxes", "labels"), CASES)
def test_given_prompts_get_the_shift_and_the_mask_of_their_form(model, graphs, features, points, boxes, labels):
    given = prompts_of(points, boxes, labels)
    prompts = as_prompts(given)
    form = form_of(prompts)
    with torch.no_grad():
        decoded = model.sam_masks(features, prompts, shifted=GIVEN[form].shifted)
        wanted = choose_mask(decoded, GIVEN[form].mask_choice)
    found = graphs["decoder"].run({"embedding": features.embedding, **given})
    torch.testing.assert_close(found["mask_logits"], wanted.mask_logits[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["iou"], wanted.iou[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["candidate_logits"], decoded.mask_logits[0], rtol=1e-4, atol=1e-4)


def test_the_models_own_prompts_get_their_own_shift(model, graphs, features):
    given = prompts_of(1, 1)
    with torch.no_grad():
        decoded = model.sam_masks(features, as_prompts(given, Proposal))
        wanted = choose_mask(decoded, model.config.mask_choice)
    own = torch.tensor([True])
    found = graphs["decoder"].run({"embedding": features.embedding, **given, "own_prompts": own})
    torch.testing.assert_close(found["mask_logits"], wanted.mask_logits[0], rtol=1e-4, atol=1e-4)
    other = graphs["decoder"].run({"embedding": features.embedding, **given})
    assert (other["mask_logits"] - found["mask_logits"]).abs().max() > 0.01


def test_the_number_of_a_form_is_that_of_the_form():
    for points, boxes, labels in CASES:
        given = prompts_of(points, boxes, labels)
        facts = torch.tensor(points), (given["labels"] == 1).any(), torch.tensor(boxes > 0)
        assert FORMS[int(form_number(*facts))] == form_of(as_prompts(given))
    nothing = torch.tensor(0), torch.tensor(False), torch.tensor(False)
    assert FORMS[int(form_number(*nothing))] is None


def test_a_bare_sam_has_no_prompter_and_no_prompts_of_its_own(tiny_sam):
    encoder, decoder = graphs_of(bare_model(tiny_sam), "bare")
    assert [port.name for port in encoder.outputs] == ["embedding"]
    assert "own_prompts" not in [port.name for port in decoder.inputs]
