"""Prompts of a simulated user, for objects of any size."""

import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.cut_masks import CutMask
from promise_seg.inference.encoding import Sample
from promise_seg.inference.prompting import PromptPlan, make_prompts, prompts_for_objects
from promise_seg.model import bare_model
from promise_seg.vocabulary import Fit, PromptSource


@pytest.fixture
def tiny_object(tmp_path):
    """An object of two pixels that no pixel of a model frame of 32 px is nearest to."""
    mask = np.zeros((100, 100), np.uint8)
    mask[70, 80:82] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(np.repeat(mask[..., None], 3, 2)).save(tmp_path / "image.png")
    (tmp_path / "data.csv").write_text("image_name,train_type,mask_name\nimage.png,test,mask.png\n")
    (row,) = check_rows(read_manifest(tmp_path / "data.csv"))
    return row


@pytest.mark.parametrize("source", [PromptSource.BOX, PromptSource.ORACLE])
def test_an_object_that_vanishes_in_the_model_frame_is_prompted_where_it_is(tiny_sam, tiny_object, source):
    """Its box was once in the corner of the image, and all of its points were background."""
    sample, plan = Sample.of(tiny_object, tiny_sam, Fit.STRETCH), PromptPlan(prompts=source, num_points=4)
    assert not sample.mask().any()
    model, features = bare_model(tiny_sam), tiny_sam.encode(np_images(sample))
    found = make_prompts(model, features, [sample], plan)
    alone = prompts_for_objects(sample, [CutMask.of(tiny_object.mask())], plan, plan.rng_of(sample))
    if source == PromptSource.BOX:
        assert found.boxes_xyxy_model[0, 0].tolist() == [25, 22, 25, 22]
        assert found.boxes_xyxy_model.tolist() == alone.boxes_xyxy_model.tolist()
    else:
        foreground = found.points_xy_model[found.point_labels == 1]
        assert foreground.tolist() == [[25, 22]] * 2
        assert found.points_xy_model.tolist() == alone.points_xy_model.tolist()


def np_images(sample):
    """The image of a sample as the encoder takes it."""
    return torch.from_numpy(sample.image()[None])
