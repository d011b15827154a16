import base64
import io

import numpy as np
import pytest
from PIL import Image

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.reporting.document import Worst
from promise_seg.reporting.gallery import caption_of, data_uri, strip_of, worst_cases
from promise_seg.vocabulary import PromptSource
from tests.helpers import make_model


def opened(uri):
    head, _, content = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize("size", [(30, 40), (600, 800), (2000, 100), (50, 900), (1, 1000)])
def test_a_strip_keeps_its_shape_within_limits(size):
    picture = np.zeros((*size, 3), np.uint8)
    height, width = strip_of([picture] * 3).shape[:2]
    each = (width - 8) / 3
    assert height <= 220
    assert each <= 330
    assert height == 220 or each == 330
    assert each / height == pytest.approx(size[1] / size[0], rel=0.06) or height == 1


def test_a_picture_survives_in_its_address():
    pixels = np.full((20, 30, 3), (200, 30, 90), np.uint8)
    assert np.abs(np.asarray(opened(data_uri(pixels))).astype(int) - pixels).max() < 8


def test_each_image_has_a_strip_that_says_which_it_is(tiny_sam, checked, store):
    model, assessment = make_model(tiny_sam), Assessment(prompts=PromptSource.APM)
    results = evaluate(model, checked[:2], assessment, store=store)
    facts = [Worst(image=f"image {n}", dice=0.1 * n, iou=0.05, share=0.2) for n in range(2)]
    gallery = worst_cases(model, results, facts, assessment, store)
    assert [picture.alt.split(":")[0] for picture in gallery.pictures] == ["image 0", "image 1"]
    assert "(Dice 0.100)" in gallery.pictures[1].alt
    assert opened(gallery.pictures[0].data_uri).size == (3 * 293 + 8, 220)
    assert "own prompts (automatic)" in gallery.caption


def test_trust_is_said_where_it_is_known():
    fact = Worst(image="a.png", dice=0.123, iou=0.05, share=0.0312)
    assert caption_of(fact) == "a.png, Dice 0.123, IoU 0.050, object 3.12 % of the image"
    assert caption_of(fact.model_copy(update={"trust": 0.4})).endswith("trust 0.400")
