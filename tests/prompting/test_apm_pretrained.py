"""The APM that looks at the image itself: from its maps to a box and a point for each object."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoBackbone, ConvNextConfig

from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.prompting.apm import IMAGE, NOT_ASKED_FOR, outputs_of_all, some_sets
from promise_seg.prompting.apm_pretrained import MAPS, PRESENCE, PretrainedConfig
from promise_seg.prompting.backbones.loading import architecture_of, load_backbone
from promise_seg.prompting.map_in_masks import with_map
from promise_seg.sam.features import Features, FeatureSizes
from promise_seg.vocabulary import Recipe

SIZES = FeatureSizes(side=64, grid=8, embedding_channels=16, stage_channels=(16,) * 4, num_heads=2)
GRID = 16  # of the maps, at a quarter of the image's side
CELL = 64 / GRID


def small(**options):
    torch.manual_seed(0)
    return PretrainedConfig(side=64, **options).build(SIZES).eval()


def maps(*masks, depth=None):
    """Features of images whose saliency is certain: the objects are where the masks are."""
    saliency = torch.stack([torch.where(torch.from_numpy(mask), 8.0, -8.0) for mask in masks])
    distance = saliency if depth is None else torch.from_numpy(np.stack(depth))
    return Features({MAPS: torch.stack([saliency, distance], 1), "embedding": torch.zeros(len(masks), 16, 8, 8)})


def blank():
    return np.zeros((GRID, GRID), bool)


def test_each_object_is_asked_for_by_its_box_and_its_deepest_point_the_largest_first():
    mask, depth = blank(), np.full((GRID, GRID), -9, np.float32)
    mask[1:3, 2:4] = mask[8:14, 6:12] = True
    depth[2, 3] = depth[9, 7] = 9
    proposal = small()(maps(mask, depth=[depth]))
    assert proposal.per_image == 2
    large, little = proposal.boxes_xyxy_model[0].tolist()
    # What is wider is resized, so that an outline may lie a pixel further in or out.
    assert large == pytest.approx([6 * CELL, 8 * CELL, 12 * CELL - 1, 14 * CELL - 1], abs=1.5)
    assert little == pytest.approx([2 * CELL, 1 * CELL, 4 * CELL - 1, 3 * CELL - 1], abs=1.5)
    points = proposal.points_xy_model[0, :, 0]
    assert points[0].tolist() == pytest.approx([7.5 * CELL - 0.5, 9.5 * CELL - 0.5], abs=CELL / 2)
    assert points[1].tolist() == pytest.approx([3.5 * CELL - 0.5, 2.5 * CELL - 0.5], abs=CELL / 2)
    assert proposal.point_labels.tolist() == [[[1], [1]]]
    for number, box in zip(proposal.numbers[0].tolist(), (large, little), strict=True):
        rows, columns = np.nonzero(proposal.regions[0].numpy() == number)
        assert [columns.min(), rows.min(), columns.max(), rows.max()] == pytest.approx(box, abs=0.5)


def test_images_with_fewer_objects_repeat_their_first():
    one, two = blank(), blank()
    one[3:9, 3:9] = two[1:4, 1:4] = two[8:14, 8:14] = True
    proposal = small()(maps(one, two))
    assert proposal.boxes_xyxy_model.shape == (2, 2, 4)
    assert torch.equal(proposal.boxes_xyxy_model[0, 0], proposal.boxes_xyxy_model[0, 1])
    assert proposal.numbers.tolist() == [[1, 1], [1, 2]]


def test_only_so_many_objects_are_asked_for():
    mask = blank()
    mask[1::4, 1::4] = mask[2::4, 1::4] = mask[1::4, 2::4] = mask[2::4, 2::4] = True
    assert small()(maps(mask)).per_image == 16
    few = small(max_objects=3)(maps(mask))
    assert few.per_image == 3
    assert sorted(few.regions.unique().tolist()) == [NOT_ASKED_FOR, 0, 1, 2, 3]
    # The others are as the saliency has them, whatever SAM says of those that are asked for.
    nothing = torch.full((1, 3, 3, 64, 64), -10.0)
    for share in (0.0, 0.5):
        found = (with_map(nothing, few, share) > 0).any(1)[0, 0]
        assert found.sum() == pytest.approx(13 * (2 * CELL) ** 2, rel=0.2)
    assert not (with_map(nothing, small()(maps(mask)), 0.0) > 0).any()


@pytest.mark.parametrize("kind", ["nothing", "one cell", "everything"])
def test_there_is_always_a_box_with_an_area_inside_of_the_frame(kind):
    mask = blank() if kind != "everything" else ~blank()
    if kind == "one cell":
        mask[15, 15] = True
    proposal = small()(maps(mask))
    ((left, top, right, bottom),) = proposal.boxes_xyxy_model[0, :1].tolist()
    assert 0 <= left <= right <= 63
    assert 0 <= top <= bottom <= 63
    assert proposal.points_xy_model.isfinite().all()
    if kind == "everything":
        assert [left, top, right, bottom] == [0, 0, 63, 63]


@pytest.mark.parametrize("separates", [False, True])
def test_maps_that_are_no_numbers_give_a_box_all_the_same_so_that_a_run_can_say_that_it_diverged(separates):
    features = maps(blank(), blank())
    features.tensors[MAPS][0] = float("nan")
    proposal = small(separates=separates).train()(features)
    assert proposal.boxes_xyxy_model.isfinite().all()
    assert proposal.saliency_logits[0].isnan().all()  # the losses still are what they are


def test_some_sets_of_each_image_keep_their_numbers():
    mask = blank()
    mask[1::4, 1::4] = mask[2::4, 1::4] = mask[1::4, 2::4] = mask[2::4, 2::4] = True
    whole = small()(maps(mask, mask))
    torch.manual_seed(0)
    some = some_sets(whole, 4)
    assert some.per_image == 4
    assert len(set(some.numbers[0].tolist())) == 4
    for image in range(2):
        for number, box in zip(some.numbers[image].tolist(), some.boxes_xyxy_model[image], strict=True):
            assert torch.equal(box, whole.boxes_xyxy_model[image, number - 1])


def test_presence_is_proposed_only_where_it_is_learned():
    features = maps(blank())
    assert small()(features).presence_logits is None
    apm = small(learns_presence=True)
    image = Features({"embedding": torch.zeros(2, 16, 8, 8), IMAGE: torch.zeros(2, 64, 64, 3)})
    assert apm.outputs(image)[PRESENCE].shape == (2,)
    assert apm(image).presence_logits.shape == (2,)


def test_a_frozen_backbone_never_learns_and_its_maps_can_be_stored():
    config = PretrainedConfig(side=64, frozen=True).completed()
    torch.manual_seed(0)
    apm = config.build(SIZES).train()
    images = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    features = Features({"embedding": torch.zeros(1, 16, 8, 8)})
    stored = Features({**features.tensors, **apm.frozen_maps(images).tensors})
    fresh = Features({**features.tensors, IMAGE: images})
    with torch.no_grad():
        assert torch.equal(apm.outputs(stored)[MAPS], apm.outputs(fresh)[MAPS])
    apm(stored).saliency_logits.square().mean().backward()
    assert all(parameter.grad is None for parameter in apm.backbone.parameters())
    assert apm.decoder.out.weight.grad is not None
    assert apm.frozen_sha256 == config.backbone_sha256


def test_a_tuned_backbone_learns_but_for_the_statistics_of_its_norms():
    apm = small().train()
    before = {name: value.clone() for name, value in apm.backbone.state_dict().items()}
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    apm(Features({"embedding": torch.zeros(2, 16, 8, 8), IMAGE: images})).saliency_logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in apm.backbone.parameters())
    assert all(torch.equal(value, before[name]) for name, value in apm.backbone.state_dict().items())
    assert apm.frozen_maps(images) is None


def test_a_backbone_with_other_weights_than_in_training_is_refused():
    config = PretrainedConfig(side=64, frozen=True, backbone_sha256="0" * 64)
    with pytest.raises(CheckpointError, match=r"--apm-backbone efficientnet-lite0: .* was trained with 000000000000"):
        config.build(SIZES)


def test_what_a_user_can_get_wrong():
    with pytest.raises(SettingsError, match=r"--apm-side 250: .* multiple of 32 pixels; the nearest is 256"):
        PretrainedConfig(side=250).completed()
    with pytest.raises(SettingsError, match="--apm-backbone nowhere/nothing: there is no backbone there"):
        PretrainedConfig(backbone="nowhere/nothing").completed()
    with pytest.raises(ValidationError):
        PretrainedConfig(max_objects=0)
    assert PretrainedConfig().completed().side == 256


def test_a_backbone_with_too_few_feature_maps_is_refused_for_fine_maps_alone(tmp_path):
    three_stages = ConvNextConfig(num_stages=3, hidden_sizes=[8, 16, 24], depths=[1, 1, 1])
    AutoBackbone.from_config(three_stages).save_pretrained(tmp_path)
    config = PretrainedConfig(backbone=str(tmp_path), side=64, map_stride=2)
    words = rf"--apm-backbone {tmp_path}: has 3 feature map\(s\); expected 4 .* Give --apm-map-stride 4"
    with pytest.raises(SettingsError, match=words):
        config.completed()
    with pytest.raises(SettingsError, match=words):
        config.model_copy(update={"architecture": architecture_of(load_backbone(str(tmp_path)))}).build(SIZES)
    image = Features({IMAGE: torch.zeros(1, 64, 64, 3), "embedding": torch.zeros(1, 16, 8, 8)})
    coarse = config.model_copy(update={"map_stride": 4}).completed().build(SIZES).eval()
    assert coarse(image).saliency_logits.shape == (1, 16, 16)


def test_fine_maps_are_at_half_of_the_image_s_side_and_see_its_pixels():
    apm = small(map_stride=2)
    torch.nn.init.zeros_(apm.decoder.outlines.narrow.weight)
    torch.nn.init.zeros_(apm.decoder.outlines.narrow.bias)
    image = torch.zeros(1, 64, 64, 3)
    image[0, :, 33:] = 255.0
    with torch.no_grad():
        saliency = apm(Features({"embedding": torch.zeros(1, 16, 8, 8), IMAGE: image})).saliency_logits
    assert saliency.shape == (1, 32, 32)
    steps = (saliency[0, 16, 1:] - saliency[0, 16, :-1]).abs()[2:-2]
    changes = 2 + torch.nonzero(steps > 1e-4)[:, 0]
    assert {15, 16} <= set(changes.tolist()) <= {14, 15, 16, 17}
    assert small().map_side == 16


def test_a_frozen_backbone_has_coarse_maps_as_no_pixels_are_stored_with_its_features():
    assert PretrainedConfig(side=64, frozen=True, map_stride=2).completed().map_stride == 4
    assert PretrainedConfig(side=64, map_stride=2).completed().map_stride == 2


def test_fine_maps_of_new_models_are_made_without_norms_and_those_of_older_ones_with_them():
    def norms(apm):
        return [one for one in apm.decoder.scales.modules() if isinstance(one, torch.nn.GroupNorm)]

    new = PretrainedConfig.options_of_new_runs(Recipe.OWN)
    assert not norms(small(**new))
    assert len(norms(small(map_stride=2))) == 6  # as a config says that has no word on it
    assert PretrainedConfig(side=64, **new).completed().map_norm == "none"
    assert PretrainedConfig(side=64, **new | {"map_stride": 4}).completed().map_norm == "group"
    assert PretrainedConfig(side=64, **new, frozen=True).completed().map_norm == "group"


def test_without_norms_the_scale_of_what_is_seen_is_not_lost():
    """A norm within each image makes a faint image as strong as any other."""

    def spread(factor, **options):
        apm = small(map_stride=2, **options)
        coarse, coarsest = apm.backbone.widths[-2:]
        found = torch.ones(1, coarse + coarsest, 4, 4)
        found[:, :, :2] = 3
        with torch.no_grad():
            return float(apm.decoder.scales[0](factor * found).std())

    assert spread(10.0, map_norm="none") == pytest.approx(10 * spread(1.0, map_norm="none"), rel=1e-3)
    assert spread(10.0) == pytest.approx(spread(1.0), rel=1e-2)


def test_a_mask_is_as_fine_as_the_finer_of_saliency_and_sam():
    mask = np.zeros((GRID, GRID), bool)
    mask[5, 5] = True
    coarse = torch.full((1, 1, 3, 8, 8), -1.0)
    mixed = with_map(coarse, small()(maps(mask)), 1.0)
    assert mixed.shape == (1, 1, 3, GRID, GRID)
    assert torch.equal(mixed[0, 0, 0] > 0, torch.from_numpy(mask))
    fine = torch.full((1, 1, 3, 64, 64), -1.0)
    assert with_map(fine, small()(maps(mask)), 0.5).shape == fine.shape


def seen(image):
    embedding = torch.randn(len(image), 16, 8, 8, generator=torch.Generator().manual_seed(1))
    return Features({"embedding": embedding, IMAGE: image})


def mirror_image(features):
    embedding, image = features.tensors["embedding"], features.tensors[IMAGE]
    return Features({"embedding": embedding.flip(2), IMAGE: image.flip(1)})


@torch.no_grad()
def test_mirrored_maps_of_a_mirror_image_are_the_mirror_image_of_the_maps():
    apm = small(map_stride=2, looks=2, learns_presence=True)
    torch.nn.init.normal_(apm.decoder.from_sam.weight, std=0.3)
    features = seen(torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0)) * 255)
    found, mirrored = apm.outputs(features), apm.outputs(mirror_image(features))
    torch.testing.assert_close(mirrored[MAPS], found[MAPS].flip(2), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mirrored[PRESENCE], found[PRESENCE], atol=1e-4, rtol=1e-4)
    for name, value in apm.graph_outputs(features[:1]).items():
        other = apm.graph_outputs(mirror_image(features[:1]))[name]
        torch.testing.assert_close(other, value if name == "presence_logits" else value.flip(-2), atol=1e-4, rtol=1e-4)
    apm.mirrored = False
    plain = apm.outputs(features)[MAPS]
    mean = (plain + apm.outputs(mirror_image(features))[MAPS].flip(2)) / 2
    torch.testing.assert_close(found[MAPS], mean, atol=1e-4, rtol=1e-4)
    assert (plain - mean).abs().max() > 1e-3


@torch.no_grad()
def test_in_training_each_image_is_seen_once_and_models_from_before_see_it_once_always():
    image = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0)) * 255
    mirrored, plain = small(looks=2), small()
    assert torch.equal(mirrored.train().outputs(seen(image))[MAPS], plain.train().outputs(seen(image))[MAPS])
    assert not torch.equal(mirrored.eval().outputs(seen(image))[MAPS], plain.eval().outputs(seen(image))[MAPS])
    assert PretrainedConfig.model_validate({"kind": "pretrained"}).looks == 1
    assert PretrainedConfig(side=64, looks=2).completed().looks == 2
    # Of a frozen backbone, the maps of the image alone are stored.
    assert PretrainedConfig(side=64, frozen=True, looks=2).completed().looks == 1


@pytest.mark.parametrize(("rows", "epochs"), [(1, 60), (100, 60), (175, 40), (350, 20), (10**6, 20)])
def test_small_sets_are_gone_through_more_often(rows, epochs):
    assert PretrainedConfig.usual_epochs(rows) == epochs


def test_a_shared_trunk_is_run_once_and_other_trunks_by_themselves(monkeypatch):
    first, alike, other = (small(learns_presence=number == 1) for number in range(3))
    with torch.no_grad():
        alike.decoder.out.bias += 3
        next(other.backbone.parameters()).mul_(2)
    image = Features({IMAGE: torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1)) * 255})
    with torch.no_grad():
        expected = [one.outputs(image) for one in (first, alike, other)]
    for name, one in first.named_parameters():
        if not name.startswith(("decoder.out.", "decoder.presence.")):
            owner, _, leaf = name.rpartition(".")
            setattr(alike.get_submodule(owner), leaf, one)
    assert alike.shares_trunk(first)
    assert not other.shares_trunk(first)
    looks, forward = [], first.backbone.forward
    monkeypatch.setattr(first.backbone, "forward", lambda images: looks.append(images) or forward(images))
    monkeypatch.setattr(alike.backbone, "forward", lambda _: pytest.fail("it ran its own trunk"))
    with torch.no_grad():
        found = outputs_of_all([first, alike, other], image)
    assert len(looks) == 1
    assert [set(one) for one in found] == [{MAPS}, {MAPS, PRESENCE}, {MAPS}]
    for one, wanted in zip(found, expected, strict=True):
        assert all(torch.equal(one[name], value) for name, value in wanted.items())
