"""The promises of every kind of SAM, whatever is inside."""

import pytest
import torch
from torch import nn

from promise_seg.errors import SettingsError
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.decoded import NUM_CANDIDATES
from promise_seg.sam.features import Features
from promise_seg.sam.kinds import freeze
from promise_seg.sam.loading import load_sam
from promise_seg.sam.prompts import PADDING, Prompts
from promise_seg.vocabulary import EncoderPrecision
from tests.helpers import make_tiny_sam
from tests.sam.tiny import TINY


@pytest.fixture(scope="module", params=["sam", *TINY])
def sam(request) -> Backbone:
    if request.param == "sam":
        return make_tiny_sam()
    return freeze(TINY[request.param](0), f"tiny {request.param}")


@pytest.fixture(scope="module")
def features(sam) -> Features:
    generator = torch.Generator().manual_seed(0)
    return sam.encode(torch.randint(0, 256, (2, sam.image_size, sam.image_size, 3), generator=generator))


def points(sam: Backbone, sets: int = 1, count: int = 3) -> Prompts:
    generator = torch.Generator().manual_seed(3)
    xy = torch.rand(2, sets, count, 2, generator=generator) * (sam.image_size - 1)
    return Prompts(points_xy_model=xy, point_labels=(torch.arange(count) % 2).expand(2, sets, count))


def encoder_of(sam: Backbone) -> nn.Module:
    return sam.get_submodule("model.vision_encoder")


def shift_of(sam: Backbone, value: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return value * torch.randn(2, sam.num_mask_tokens, sam.embedding_channels, generator=generator)


def mask_prompts(sam: Backbone, sets: int = 1) -> torch.Tensor:
    return 8 * torch.randn(2, sets, sam.mask_side, sam.mask_side, generator=torch.Generator().manual_seed(5))


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Assert that two tensors differ by rounding alone, which is as large as their largest values make it.

    Logits of a SAM with random weights reach several hundred; what is summed in another order differs by 1e-5 of that.
    """
    largest = float(expected.abs().max())
    torch.testing.assert_close(found, expected, atol=2e-5 * max(1.0, largest), rtol=0)


def test_it_has_the_sizes_that_it_says(sam, features):
    sizes = sam.sizes
    assert features.embedding.shape == (2, sizes.embedding_channels, sizes.grid, sizes.grid)
    for number, width in enumerate(sizes.stage_channels):
        assert features.stage(number).shape == (2, sizes.grid, sizes.grid, width)
    decoded = sam.decode(features, points(sam, sets=2))
    assert decoded.mask_logits.shape == (2, 2, NUM_CANDIDATES, sam.mask_side, sam.mask_side)
    assert decoded.iou.shape == (2, 2, 3)
    assert decoded.tokens.shape == (2, 2, 3, sam.token_channels)
    assert decoded.object_logits is None or decoded.object_logits.shape == (2, 2)


def test_no_stored_tensor_is_larger_than_the_stages_need(sam, features):
    """A stage that is finer than the embedding is stored at its resolution."""
    for number in range(len(sam.sizes.stage_channels)):
        assert features.stage(number).shape[1:3] == features.embedding.shape[2:]
        if f"stage_{number}" in features.tensors:
            assert features.tensors[f"stage_{number}"].shape[1] <= sam.sizes.grid


@pytest.mark.parametrize("precision", [EncoderPrecision.BF16, EncoderPrecision.INT8])
def test_it_encodes_at_less_precision_nearly_the_same(sam, features, precision):
    images = torch.randint(0, 256, (2, sam.image_size, sam.image_size, 3), generator=torch.Generator().manual_seed(0))
    if precision == EncoderPrecision.INT8 and not any(isinstance(m, nn.Linear) for m in encoder_of(sam).modules()):
        with pytest.raises(SettingsError, match="has no linear layers"):
            sam.in_precision(precision)
        return
    found = sam.in_precision(precision).encode(images)
    assert found.tensors.keys() == features.tensors.keys()
    for name, value in found.tensors.items():
        whole = features.tensors[name]
        assert (value.dtype, value.shape) == (whole.dtype, whole.shape)
        assert (value - whole).square().mean() <= 0.1**2 * whole.square().mean(), name
    assert not torch.equal(found.embedding, features.embedding)


def test_train_does_not_thaw_it(sam):
    holder = nn.Sequential(sam)
    holder.requires_grad_(True)
    holder.train()
    assert not any(module.training for module in sam.modules())
    assert not any(p.requires_grad for p in sam.parameters())


def test_gradients_reach_prompts_and_shift_but_no_weight(sam, features):
    prompts, shift = points(sam), shift_of(sam, 0.0).requires_grad_()
    prompts.points_xy_model.requires_grad_(True)
    sam.decode(features, prompts, shift).mask_logits.square().mean().backward()
    assert prompts.points_xy_model.grad.abs().sum() > 0
    assert bool((shift.grad.abs().sum((0, 2)) > 0)[1:].all()), "each mask that is returned has its own token"
    assert all(p.grad is None for p in sam.parameters())


def test_a_shift_of_zero_changes_nothing_and_each_image_has_its_own(sam, features):
    plain = sam.decode(features, points(sam)).mask_logits
    assert torch.equal(plain, sam.decode(features, points(sam), shift_of(sam, 0.0)).mask_logits)
    shift = shift_of(sam)
    shift[0] = 0
    shifted = sam.decode(features, points(sam), shift).mask_logits
    assert_same(plain[0], shifted[0])
    assert not torch.allclose(plain[1], shifted[1], atol=1e-2)
    assert torch.equal(plain, sam.decode(features, points(sam)).mask_logits), "the shift must not stay behind"


def test_a_batch_gives_what_its_images_give_alone(sam, features):
    prompts = points(sam, sets=3)
    together = sam.decode(features, prompts)
    for i in range(2):
        for k in range(3):
            alone = sam.decode(features[i : i + 1], prompts.images(i, i + 1).sets(k, k + 1))
            for name in ("mask_logits", "iou", "tokens"):
                found, expected = getattr(together, name)[i, k], getattr(alone, name)[0, 0]
                assert_same(found, expected)


def test_padded_points_change_nothing(sam, features):
    """As the library decodes them, zeros would be attended to in their place."""
    prompts = points(sam, sets=3, count=3)
    labels = prompts.point_labels.clone()
    labels[0, 0, 1] = labels[1, 2, 0] = labels[1, 2, 2] = labels[1, 1] = PADDING
    shift = shift_of(sam)
    boxes = torch.tensor([8.0, 8.0, 24.0, 20.0]).expand(2, 3, 4)
    padded = Prompts(points_xy_model=prompts.points_xy_model, point_labels=labels, boxes_xyxy_model=boxes)
    found = sam.decode(features, padded, shift)
    for i in range(2):
        for k in range(3):
            real = labels[i, k] != PADDING
            given = {"boxes_xyxy_model": boxes[:1, :1]}
            if real.any():
                given["points_xy_model"] = prompts.points_xy_model[i, k, real][None, None]
                given["point_labels"] = labels[i, k, real][None, None]
            alone = sam.decode(features[i : i + 1], Prompts(**given), shift[i : i + 1])
            for name in ("mask_logits", "iou", "tokens"):
                expected = getattr(alone, name)[0, 0]
                assert_same(getattr(found, name)[i, k], expected)


def test_gradients_pass_through_padded_sets(sam, features):
    prompts = points(sam, sets=2)
    labels = prompts.point_labels.clone()
    labels[0, 0, 0] = PADDING
    xy = prompts.points_xy_model.requires_grad_(True)
    sam.decode(features, Prompts(points_xy_model=xy, point_labels=labels)).mask_logits.square().mean().backward()
    moved = xy.grad.abs().sum(-1) > 0
    assert bool((moved == (labels != PADDING)).all())


def test_several_mask_prompts_for_an_image(sam, features):
    prompts, masks = points(sam, sets=2), mask_prompts(sam, sets=2)
    given = Prompts(points_xy_model=prompts.points_xy_model, point_labels=prompts.point_labels, mask_logits=masks)
    found = sam.decode(features, given, shift_of(sam))
    for k in range(2):
        alone = sam.decode(features, given.sets(k, k + 1), shift_of(sam))
        assert_same(found.mask_logits[:, k], alone.mask_logits[:, 0])
    assert not torch.allclose(found.mask_logits, sam.decode(features, prompts, shift_of(sam)).mask_logits, atol=1e-2)


def test_nothing_and_a_mask_alone_are_one_set(sam, features):
    nothing = sam.decode(features, Prompts()).mask_logits
    alone = sam.decode(features, Prompts(mask_logits=mask_prompts(sam))).mask_logits
    assert nothing.shape == alone.shape == (2, 1, 3, sam.mask_side, sam.mask_side)
    assert not torch.allclose(nothing, alone, atol=1e-2)


def test_one_mask_is_the_same_in_training_and_in_evaluation(sam, features):
    single = sam.decode(features, points(sam), multimask=False)
    sam.train()
    again = sam.decode(features, points(sam), multimask=False)
    assert single.mask_logits.shape[2] == 1
    assert torch.equal(single.mask_logits, again.mask_logits)


def test_encoding_and_decoding_register_nothing_on_the_shared_module(sam, features, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a hook on a shared module")

    for name in ("register_forward_hook", "register_forward_pre_hook"):
        monkeypatch.setattr(torch.nn.Module, name, refuse)
    again = sam.encode(torch.zeros(1, sam.image_size, sam.image_size, 3))
    sam.decode(again, Prompts(), shift_of(sam)[:1])


def test_what_is_saved_loads_as_the_same_sam(sam, features, tmp_path):
    sam.save(tmp_path / "saved")
    again = load_sam(str(tmp_path / "saved"))
    assert type(again) is type(sam)
    assert again.sha256 == sam.sha256
    assert again.sizes == sam.sizes
    assert again.notes == ()
    found = again.decode(features, points(sam), shift_of(sam))
    torch.testing.assert_close(found.mask_logits, sam.decode(features, points(sam), shift_of(sam)).mask_logits)
