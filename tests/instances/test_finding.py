"""From the maps of a model to an instance map in the image frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from promise_seg.errors import SettingsError
from promise_seg.images.geometry import Box, Geometry
from promise_seg.instances import outlining
from promise_seg.instances.finding import find_instances
from promise_seg.instances.proposing import propose_objects
from promise_seg.model import ABSENT_LOGIT, choose_mask
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.vocabulary import ApmKind, Fit, Variant
from tests.helpers import make_model
from tests.instances.drawn import discs, drawn_model

MAPS_ALONE = InstanceRule(map_share=1)
TOUCHING = discs((9, 10, 6), (20, 10, 6), (25, 25, 4))


@pytest.fixture(scope="module")
def features(tiny_sam):
    return tiny_sam.encode(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))


def labels_of(model, features, geometry, rule=MAPS_ALONE):
    return find_instances(model, features, geometry, rule).labels


def test_in_the_model_frame_it_is_what_was_drawn(tiny_sam, features):
    found = labels_of(drawn_model(tiny_sam, TOUCHING), features, Geometry(32, 32, 32))
    assert np.unique(found).tolist() == [0, 1, 2, 3]
    assert np.array_equal(found > 0, TOUCHING > 0)
    for number, (x, y) in enumerate(((9, 10), (20, 10), (25, 25)), 1):
        same = (number == TOUCHING) == (found == found[y, x])
        assert same.mean() > 0.98


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(64, 96, 32),
        Geometry(64, 80, 32, Fit.PAD),
        Geometry(72, 80, 32, Fit.SQUARE),
        Geometry(60, 60, 32, crop=Box(10, 5, 50, 45)),
    ],
)
def test_in_any_geometry_it_is_the_mask_of_the_saliency(tiny_sam, features, geometry):
    model = drawn_model(tiny_sam, TOUCHING)
    found = labels_of(model, features, geometry)
    saliency = model.apm(features).saliency_logits[0]
    mask = (geometry.logits_to_image(saliency) > 0).numpy()
    assert found.shape == (geometry.height, geometry.width)
    assert np.mean((found > 0) == mask) > 0.99
    assert found.max() == 3


def test_what_is_seen_in_the_padding_is_no_object(tiny_sam, features):
    found = labels_of(drawn_model(tiny_sam, TOUCHING), features, Geometry(40, 80, 32, Fit.PAD))
    assert found.max() == 2


def test_sam_is_asked_in_bounded_batches_and_each_object_by_its_own_prompts(tiny_sam, features, monkeypatch):
    monkeypatch.setattr(outlining, "_AT_ONCE", 2)
    model, asked = drawn_model(tiny_sam, TOUCHING), []
    answer = model.sam_masks

    def watched(features, prompts, **more):
        asked.append(prompts.boxes_xyxy_model.shape[1])
        assert prompts.points_xy_model.shape[2] == 1
        return answer(features, prompts, **more)

    model.sam_masks = watched
    found = find_instances(model, features, Geometry(32, 32, 32), InstanceRule(map_share=0.75))
    assert asked == [2, 1]
    assert all(one.predicted_iou is not None for one in found.objects)


def test_where_sam_answers_with_something_else_the_object_is_as_the_maps_have_it(tiny_sam, features):
    model = drawn_model(tiny_sam, TOUCHING)
    answer = model.sam_masks

    def everything(features, prompts, **more):
        found = answer(features, prompts, **more)
        return found._replace(mask_logits=torch.full_like(found.mask_logits, 9.0))

    model.sam_masks = everything
    geometry = Geometry(32, 32, 32)
    result = find_instances(model, features, geometry, InstanceRule(map_share=0))
    assert [one.predicted_iou is None for one in result.objects] == [False, False, True]  # small in its window
    inside = result.labels[TOUCHING == 3]
    assert len(np.unique(inside)) == 1


def test_what_is_judged_to_be_absent_is_not_there_unless_it_is_asked_for(tiny_sam, features):
    model = drawn_model(tiny_sam, TOUCHING, presence=-3.0)
    model.config = model.config.model_copy(update={"presence_threshold": 0.5})
    geometry = Geometry(32, 32, 32)
    assert not labels_of(model, features, geometry).any()
    model.always_segments = True
    assert labels_of(model, features, geometry).max() == 3


@pytest.mark.parametrize(("score", "count"), [(-3.0, 0), (3.0, 3)])
def test_a_presence_that_was_not_learned_is_sam_s_object_score_as_for_masks(tiny_sam, features, score, count):
    model = drawn_model(tiny_sam, TOUCHING)
    model.config = model.config.model_copy(update={"presence_threshold": 0.5})
    answer = model.sam_masks
    model.sam_masks = lambda *a, **more: answer(*a, **more)._replace(object_logits=torch.full((1, 1), score))
    assert labels_of(model, features, Geometry(32, 32, 32)).max() == count
    is_empty = bool((model.decode(features, model.propose(features)).mask_logits == ABSENT_LOGIT).all())
    assert is_empty == (count == 0)


def test_an_image_without_objects(tiny_sam, features):
    model = drawn_model(tiny_sam, np.zeros((32, 32), int))
    for share in (0.0, 1.0):
        assert not labels_of(model, features, Geometry(20, 30, 32), InstanceRule(map_share=share)).any()


def test_an_object_of_one_cell_is_found_even_in_a_smaller_image(tiny_sam, features):
    single = np.zeros((32, 32), int)
    single[13, 21] = 1
    for geometry in (Geometry(32, 32, 32), Geometry(9, 9, 32), Geometry(200, 150, 32)):
        assert labels_of(drawn_model(tiny_sam, single), features, geometry).max() == 1


def test_the_rule_of_the_model_is_taken_and_old_models_mix_as_they_do_for_masks(tiny_sam):
    model = make_model(tiny_sam)
    assert model.config.instance_rule == InstanceRule(map_share=0)
    chosen = InstanceRule(prominence=0.3, map_share=0.5)
    assert model.config.model_copy(update={"instances": chosen}).instance_rule == chosen
    old = model.sha256()
    model.config = model.config.model_copy(update={"instances": None})
    assert model.sha256() == old


@pytest.mark.parametrize(
    ("variant", "apm", "said"), [(Variant.IPS, ApmKind.HEATMAP, "variant ips"), (Variant.APM, ApmKind.RESNET, "resnet")]
)
def test_a_model_without_a_map_is_refused_with_the_way_out(tiny_sam, features, variant, apm, said):
    with pytest.raises(SettingsError, match=f"{said} does not make.*--instances"):
        propose_objects(make_model(tiny_sam, variant, apm), features, MAPS_ALONE, Geometry(9, 9, 32))


@pytest.mark.slow
def test_ten_thousand_objects_are_outlined(tiny_sam, features):
    labels = np.kron(np.arange(1, 10_001).reshape(100, 100), np.ones((5, 5), int))
    labels[::5] = labels[:, ::5] = 0
    found = find_instances(drawn_model(tiny_sam, labels), features, Geometry(500, 500, 32), MAPS_ALONE)
    assert len(found.objects) == 10_000
    assert replace(found.objects[0], score=0).mask.size < 400


@pytest.mark.parametrize(("threshold", "found"), [(0.5, [1, 2, 3]), (0.62, [1, 2]), (0.7, [1])])
def test_objects_are_asked_for_where_the_mask_of_the_model_has_them(tiny_sam, features, threshold, found):
    """An object below the threshold was once asked for, and became a single pixel."""
    labels = discs((8, 8, 5), (22, 9, 5), (15, 24, 5))
    model = drawn_model(tiny_sam, labels)
    saliency = torch.from_numpy(np.select([labels == 1, labels == 2, labels == 3], [8.0, 0.6, 0.4], -8.0)).float()
    propose = model.apm.forward
    model.apm.forward = lambda features: replace(propose(features), saliency_logits=saliency[None])
    model.config = model.config.model_copy(update={"postprocessing": PostProcessing(threshold=threshold)})
    counts = np.bincount(labels_of(model, features, Geometry(64, 64, 32)).ravel())[1:]
    assert len(counts) == len(found)
    assert counts.min() > 100


def test_in_a_second_pass_sam_sees_its_own_mask_of_each_object(tiny_sam, features):
    model, asked, answers = drawn_model(tiny_sam, TOUCHING), [], []
    answer = model.sam_masks

    def watch(features, prompts, **more):
        asked.append(prompts)
        answers.append(answer(features, prompts, **more))
        return answers[-1]

    model.sam_masks = watch
    rule, geometry = InstanceRule(map_share=0.5), Geometry(32, 32, 32)
    once = find_instances(model, features, geometry, rule)
    assert [prompts.mask_logits for prompts in asked] == [None]
    model.config = model.config.model_copy(update={"second_pass": True})
    twice = find_instances(model, features, geometry, rule)
    _, first, second = asked
    assert first.mask_logits is None
    assert torch.equal(second.mask_logits, choose_mask(answers[1], model.config.mask_choice).mask_logits)
    assert second.per_image == first.per_image == 3
    assert torch.equal(second.boxes_xyxy_model, first.boxes_xyxy_model)
    assert [one.predicted_iou for one in twice.objects] != [one.predicted_iou for one in once.objects]
