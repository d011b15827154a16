import pytest
import torch

from promise_seg.errors import SettingsError
from promise_seg.sam.prompts import Prompts


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"points_xy_model": torch.zeros(1, 1, 3, 2)}, "points need labels"),
        ({"points_xy_model": torch.zeros(1, 3, 2), "point_labels": torch.zeros(1, 3)}, r"\(B, K, N, 2\)"),
        ({"points_xy_model": torch.zeros(1, 1, 3, 2), "point_labels": torch.zeros(1, 1, 2)}, "one for each point"),
        ({"boxes_xyxy_model": torch.zeros(1, 4)}, r"\(B, K, 4\)"),
        ({"boxes_xyxy_model": torch.zeros(1, 2, 4), "mask_logits": torch.zeros(1, 1, 8, 8)}, "must agree"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(parts, message):
    with pytest.raises(SettingsError, match=message):
        Prompts(**parts)


def test_no_prompts_count_as_one_set_of_each_image():
    assert Prompts().per_image == 1
    assert Prompts(boxes_xyxy_model=torch.zeros(2, 5, 4)).per_image == 5
