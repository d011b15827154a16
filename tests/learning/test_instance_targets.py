"""What a model learns from instance maps: touching objects are separate, and each set of prompts asks for one."""

import numpy as np
import pytest
import torch

from promise_seg.learning.losses import depths_of_instances, targets_of_instances
from promise_seg.learning.settings import make_settings
from promise_seg.prompting.separating import depths
from promise_seg.vocabulary import ApmKind, MaskKind, Protocol, Variant
from tests.instances.drawn import discs

TOUCHING = discs((10, 10, 6), (20, 10, 6))


def test_between_objects_that_touch_the_distance_falls_where_that_of_the_union_does_not():
    apart, union = depths_of_instances(TOUCHING), depths(TOUCHING > 0)
    assert min(apart[10, 10], apart[10, 20]) > 0.9
    assert [apart[number == TOUCHING].max() for number in (1, 2)] == [1, 1]
    assert apart[10, 14:17].max() < 0.4
    assert union[10, 14:17].min() > 0.6


def test_of_objects_that_are_apart_it_is_that_of_the_union():
    labels = discs((8, 8, 5), (23, 22, 4))
    assert np.allclose(depths_of_instances(labels), depths(labels > 0), atol=1e-5)


def test_numbers_may_have_gaps_and_an_object_two_parts():
    labels = np.zeros((20, 20), np.uint16)
    labels[2:9, 2:9], labels[12:15, 12:15], labels[18, 2] = 7, 7, 900
    found = depths_of_instances(labels)
    assert found[5, 5] == 1
    assert 0 < found[13, 13] < 1
    assert found[18, 2] == 1
    assert not found[labels == 0].any()


def test_a_set_of_prompts_asks_for_the_object_that_most_of_its_region_is_on():
    regions = torch.from_numpy(np.where(np.arange(32) < 17, 1, 2).repeat(32).reshape(32, 32).T.copy())[None]
    regions[:, 20:] = 3
    instances = torch.from_numpy(TOUCHING)[None]
    found = targets_of_instances(regions, torch.tensor([[1, 2, 3]]), instances, 16)
    wide = torch.from_numpy(np.stack([TOUCHING == 1, TOUCHING == 2, np.zeros((32, 32), bool)])).float()
    expected = torch.nn.functional.avg_pool2d(wide, 2)
    assert torch.equal(found[0], expected)


def test_only_instance_maps_are_learned_so_and_only_by_runs_that_began_so():
    new = make_settings()
    assert new.separates(MaskKind.INSTANCES)
    assert not new.separates(MaskKind.BINARY)
    assert not make_settings(variant=Variant.IPS).separates(MaskKind.INSTANCES)
    assert not make_settings(protocol=Protocol.REFERENCE).separates(MaskKind.INSTANCES)
    assert make_settings(apm=ApmKind.PRETRAINED).learns_objects(MaskKind.INSTANCES)
    heatmap = make_settings(apm=ApmKind.HEATMAP)
    assert (heatmap.separates(MaskKind.INSTANCES), heatmap.learns_objects(MaskKind.INSTANCES)) == (True, False)
    begun = new.model_copy(update={"separate_objects": False})
    assert not make_settings(begun).separates(MaskKind.INSTANCES)


@pytest.mark.parametrize("side", [16, 32])
def test_targets_of_many_sets_are_one_each(side):
    instances = torch.from_numpy(TOUCHING)[None].repeat(2, 1, 1)
    found = targets_of_instances(instances, torch.tensor([[1, 2], [2, 1]]), instances, side)
    assert found.shape == (2, 2, side, side)
    assert torch.equal(found[0, 0], found[1, 1])
