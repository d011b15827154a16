import pytest
import torch
from torch import nn

from promise_seg.sam.backbone import weights_sha256
from promise_seg.sam.features import Features, stage_blocks
from promise_seg.sam.loading import load_sam
from promise_seg.sam.normalisation import normalise
from promise_seg.sam.prompts import Prompts
from tests.helpers import make_tiny_sam, some_points


def test_train_does_not_thaw_it():
    sam = make_tiny_sam()
    holder = nn.Sequential(sam)
    holder.requires_grad_(True)
    holder.train()
    assert not sam.training
    assert not any(module.training for module in sam.modules())
    assert not any(p.requires_grad for p in sam.parameters())


def test_gradients_reach_prompts_and_shift_but_no_weight(tiny_sam, images):
    features = tiny_sam.encode(images)
    prompts = some_points()
    prompts.points_xy_model.requires_grad_(True)
    shift = torch.zeros(2, 4, 16, requires_grad=True)
    tiny_sam.decode(features, prompts, shift).mask_logits.sum().backward()
    assert prompts.points_xy_model.grad.abs().sum() > 0
    assert shift.grad.abs().sum() > 0
    assert all(p.grad is None for p in tiny_sam.parameters())


def test_a_batch_gives_what_its_images_give_alone(tiny_sam, images):
    prompts = some_points(sets=3)
    features = tiny_sam.encode(images)
    together = tiny_sam.decode(features, prompts)
    assert together.mask_logits.shape == (2, 3, 3, 32, 32)
    assert together.iou.shape == (2, 3, 3)
    for i in range(2):
        alone = tiny_sam.encode(images[i : i + 1])
        torch.testing.assert_close(features[i : i + 1].tensors["stages"], alone.tensors["stages"], atol=1e-4, rtol=1e-4)
        for k in range(3):
            one = Prompts(
                points_xy_model=prompts.points_xy_model[i : i + 1, k : k + 1],
                point_labels=prompts.point_labels[i : i + 1, k : k + 1],
            )
            decoded = tiny_sam.decode(alone, one)
            torch.testing.assert_close(together.mask_logits[i, k], decoded.mask_logits[0, 0], atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(together.iou[i, k], decoded.iou[0, 0], atol=1e-3, rtol=1e-3)


def test_a_shift_of_zero_changes_nothing_and_another_one_does(tiny_sam, images):
    features = tiny_sam.encode(images)
    plain = tiny_sam.decode(features, some_points()).mask_logits
    assert torch.equal(plain, tiny_sam.decode(features, some_points(), torch.zeros(2, 4, 16)).mask_logits)
    assert not torch.equal(plain, tiny_sam.decode(features, some_points(), torch.ones(2, 4, 16)).mask_logits)
    assert torch.equal(plain, tiny_sam.decode(features, some_points()).mask_logits), "the shift must not stay behind"


def test_each_image_gets_its_own_shift(tiny_sam, images):
    features = tiny_sam.encode(images)
    shift = torch.zeros(2, 4, 16)
    shift[1] = 1.0
    plain = tiny_sam.decode(features, some_points()).mask_logits
    shifted = tiny_sam.decode(features, some_points(), shift).mask_logits
    torch.testing.assert_close(plain[0], shifted[0])
    assert not torch.allclose(plain[1], shifted[1])


def test_several_mask_prompts_for_an_image(tiny_sam, images):
    features = tiny_sam.encode(images)
    points = some_points(sets=2)
    masks = torch.randn(2, 2, 32, 32)
    prompts = Prompts(points_xy_model=points.points_xy_model, point_labels=points.point_labels, mask_logits=masks)
    decoded = tiny_sam.decode(features, prompts)
    assert decoded.mask_logits.shape == (2, 2, 3, 32, 32)
    one = Prompts(
        points_xy_model=points.points_xy_model[:, 1:], point_labels=points.point_labels[:, 1:], mask_logits=masks[:, 1:]
    )
    torch.testing.assert_close(decoded.mask_logits[:, 1], tiny_sam.decode(features, one).mask_logits[:, 0])


def test_no_prompts_at_all(tiny_sam, images):
    decoded = tiny_sam.decode(tiny_sam.encode(images), Prompts())
    assert decoded.mask_logits.shape == (2, 1, 3, 32, 32)


def test_images_of_another_size_are_refused(tiny_sam):
    with pytest.raises(ValueError, match=r"images must be \(B, 32, 32, 3\)"):
        tiny_sam.encode(torch.zeros(1, 64, 64, 3))


def test_the_hash_sees_every_weight():
    sam = make_tiny_sam()
    assert sam.sha256 == make_tiny_sam().sha256
    list(sam.parameters())[-1].data.view(-1)[0] += 1
    assert weights_sha256(sam.model) != sam.sha256


@pytest.mark.parametrize(("depth", "blocks"), [(12, (2, 5, 8, 11)), (24, (5, 11, 17, 23)), (32, (7, 15, 23, 31))])
def test_stages_are_at_the_quarters(depth, blocks):
    assert stage_blocks(depth) == blocks


def test_stages_are_the_outputs_of_these_blocks(tiny_sam, images):
    seen = []
    handle = tiny_sam.model.vision_encoder.layers[2].register_forward_hook(lambda *args: seen.append(args[2]))
    tiny_sam.model.vision_encoder(normalise(images))
    handle.remove()
    torch.testing.assert_close(tiny_sam.encode(images).stage(2), seen[0], atol=1e-5, rtol=1e-5)


def test_decoding_is_the_library_s_own_to_the_last_bit(tiny_sam, images):
    features, prompts = tiny_sam.encode(images), some_points(sets=3)
    model = tiny_sam.model
    theirs = model(
        image_embeddings=features.embedding,
        input_points=prompts.points_xy_model,
        input_labels=prompts.point_labels,
        multimask_output=True,
    )
    ours = tiny_sam.decode(features, prompts)
    assert torch.equal(ours.mask_logits, theirs.pred_masks)
    assert torch.equal(ours.iou, theirs.iou_scores)
    single = model(
        image_embeddings=features.embedding,
        input_points=prompts.points_xy_model,
        input_labels=prompts.point_labels,
        multimask_output=False,
    )
    assert torch.equal(tiny_sam.decode(features, prompts, multimask=False).mask_logits, single.pred_masks)


def test_encoding_without_relative_positions_is_the_library_s_own():
    sam = load_sam("nano")
    images = torch.randint(0, 256, (1, 128, 128, 3))
    theirs = sam.model.vision_encoder(normalise(images)).last_hidden_state
    # Not to the last bit: the tokens have another memory layout, of which some processors make another order of sums.
    torch.testing.assert_close(sam.encode(images).embedding, theirs, atol=1e-5, rtol=0)


def test_encoding_and_decoding_register_nothing_on_the_shared_module(tiny_sam, images, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a hook on a shared module")

    for name in ("register_forward_hook", "register_forward_pre_hook"):
        monkeypatch.setattr(torch.nn.Module, name, refuse)
    tiny_sam.decode(tiny_sam.encode(images), some_points(), torch.ones(2, 4, 16))


@pytest.mark.slow
def test_decoding_with_a_shift_can_be_exported(tiny_sam, images):
    """As a graph of tensors alone, which is what ONNX is made from."""

    class Decode(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.sam = tiny_sam

        def forward(self, embedding, stages, points_xy_model, point_labels, shift):
            prompts = Prompts(points_xy_model=points_xy_model, point_labels=point_labels)
            return self.sam.decode(Features.of(embedding, stages), prompts, shift)

    features, prompts, shift = tiny_sam.encode(images), some_points(), torch.rand(2, 4, 16)
    given = (features.embedding, features.tensors["stages"], prompts.points_xy_model, prompts.point_labels, shift)
    exported = torch.export.export(Decode(), given).module()
    expected = tiny_sam.decode(features, prompts, shift)
    torch.testing.assert_close(exported(*given)[0], expected.mask_logits)
