"""The program of an export finds objects, and checks prompts, as we do."""

import numpy as np
import pytest
import torch

import predict_prompts
from predict_frames import Box, Frame
from promise_seg.prompting.apm import NOT_ASKED_FOR
from promise_seg.prompting.given_prompts import form_of
from promise_seg.prompting.separating import PROMINENCE, separate
from promise_seg.sam.prompts import Prompts
from tests.exporting.models import shifted_model
from tests.exporting.program.drawn import blobs
from tests.instances.drawn import depth_of, discs


@pytest.mark.parametrize("count", [0, 1, 7, 8])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("has_box", [False, True])
def test_its_forms_of_prompts_are_ours(count, label, has_box):
    points, labels = torch.ones(1, count, 2), torch.full((1, count), label)
    boxes = torch.ones(1, int(has_box), 4)
    given = Prompts(
        points_xy_model=points[None], point_labels=labels[None], boxes_xyxy_model=boxes if has_box else None
    )
    ours = form_of(given)
    assert predict_prompts.form_of(predict_prompts.Prompts(points.numpy(), labels.numpy(), boxes.numpy())) == ours


def test_it_refuses_prompts_outside_of_the_image_and_cuts_boxes_off():
    frame = Frame(40, 60, 32, "stretch", Box(10, 0, 50, 40))
    found = predict_prompts.prompts_in_frame(frame, [[10.0, 0.0], [49.0, 39.0]], [1, 0], [0, -5, 30, 20])
    np.testing.assert_allclose(found.boxes, [[[*frame.points_to_model([10, 0]), *frame.points_to_model([30, 20])]]])
    assert found.labels.tolist() == [[1, 0]]
    for point in ([9, 5], [50, 5], [20, 40], [20, -1]):
        with pytest.raises(ValueError, match=r"outside of what the model sees, columns 10 to 49 and rows 0 to 39"):
            predict_prompts.prompts_in_frame(frame, [point], [1], None)
    for box in ([0, 0, 9, 9], [30, 20, 20, 30], [20, 39, 30, 45]):
        with pytest.raises(ValueError, match="has no area inside of the image"):
            predict_prompts.prompts_in_frame(frame, [], [], box)
    for labels in ([], [2], [1, 1]):
        with pytest.raises(ValueError, match="give a label for each, 1 or 0"):
            predict_prompts.prompts_in_frame(frame, [[20, 20]], labels, None)


@pytest.mark.parametrize("separates", [False, True])
def test_its_objects_are_those_of_the_prompter(tiny_sam, separates):
    apm = shifted_model(tiny_sam).apm
    apm.separates = separates
    for most in (16, 2):
        apm.max_objects = most
        for seed, scale in ((0, 1.0), (1, 1.0), (2, 0.4), (3, 0.0)):
            saliency, distance = blobs(seed, (64, 64)) * np.float32(scale), blobs(seed + 10, (64, 64))
            wanted = apm._objects(saliency, distance)
            prompts, too_many = predict_prompts.find_objects(saliency, distance, apm.model_side, apm.object_rule)
            np.testing.assert_allclose(prompts.points[:, 0], wanted.points, atol=1e-5)
            np.testing.assert_allclose(prompts.boxes[:, 0], wanted.boxes, atol=1e-5)
            np.testing.assert_array_equal(too_many, wanted.regions == NOT_ASKED_FOR)


@pytest.mark.parametrize("places", [[(10, 10, 6), (20, 10, 6)], [(8, 8, 5), (17, 9, 6), (12, 20, 7)]], ids=len)
def test_objects_that_touch_are_told_apart_as_by_the_prompter(places):
    labels = discs(*places)
    found = predict_prompts.separate(labels > 0, depth_of(labels), PROMINENCE)
    assert found.max() == len(places)
    np.testing.assert_array_equal(found, separate(labels > 0, depth_of(labels)).regions)


@pytest.mark.parametrize("prominence", [0.02, 0.1, 0.4])
def test_each_place_is_of_the_object_that_it_is_of_in_the_prompter(prominence):
    for seed in range(5):
        certain, distance = blobs(seed, (48, 64)) > 0.4, blobs(seed + 10, (48, 64))
        wanted = separate(certain, distance, prominence)
        np.testing.assert_array_equal(predict_prompts.separate(certain, distance, prominence), wanted.regions)
