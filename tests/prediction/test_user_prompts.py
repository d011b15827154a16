"""Prompts are checked before anything is computed, and lie in the image frame until SAM needs them."""

import numpy as np
import pytest
import torch

from promise_seg.errors import SettingsError
from promise_seg.images.geometry import Box, Geometry
from promise_seg.prediction.user_prompts import UserPrompts, clipped_box, clipped_points, to_model_frame
from promise_seg.vocabulary import Fit

GEOMETRY = Geometry(90, 120, 32, Fit.STRETCH)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"points_xy": [[float("nan"), 3]], "point_labels": [1]}, "points_xy: expected finite numbers, but 1 of 2"),
        ({"points_xy": [["a", 3]], "point_labels": [1]}, "points_xy: expected numbers"),
        ({"points_xy": [[1, 2]]}, "points need labels and labels need points"),
        ({"point_labels": [1]}, "points need labels and labels need points"),
        ({"points_xy": [[1, 2, 3]], "point_labels": [1]}, r"points_xy must be \(N, 2\), got \(1, 3\)"),
        ({"points_xy": np.empty((0, 2)), "point_labels": []}, "points_xy: there are no points in it"),
        ({"points_xy": [[1, 2]], "point_labels": [[1]]}, r"point_labels must be \(N,\), got \(1, 1\)"),
        ({"points_xy": [[1, 2]], "point_labels": [1, 0]}, "one for each point, got 2 labels for 1 points"),
        ({"points_xy": [[1, 2]], "point_labels": [[1], [1, 0]]}, "point_labels: expected numbers"),
        ({"points_xy": [[1, 2]], "point_labels": [2]}, r"must be 1 \(foreground\) or 0 \(background\), got \[2\]"),
        ({"points_xy": [[1, 2]], "point_labels": [0.5]}, r"must be 1 \(foreground\) or 0 \(background\), got \[0\.5\]"),
        ({"box_xyxy": [1, 2, 3]}, r"box_xyxy must be \(4,\), got \(3,\)"),
        ({"box_xyxy": [105, 48, 55, 12]}, "left < right and top < bottom, got"),
        ({"box_xyxy": [55, 12, 55, 12]}, "left < right and top < bottom, got"),
        ({"box_xyxy": [1, 2, 3, float("inf")]}, "box_xyxy: expected finite numbers"),
        ({"box_xyxy": [0.1, 0.2, 0.5, 0.6]}, r"\[0\.1, 0\.2, 0\.5, 0\.6\] is smaller than one pixel; coordinates are"),
        ({"box_xyxy": [0, 0.25, 1, 1]}, "coordinates are pixels, not shares of the image"),
        ({"points_xy": [[torch.ones(2, requires_grad=True)]], "point_labels": [1]}, "points_xy"),
        ({"points_xy": [[1, 2]], "point_labels": torch.tensor([2.0], requires_grad=True)}, r"got \[2\.0\]"),
    ],
)
def test_what_is_no_prompt_is_refused(given, message):
    with pytest.raises(SettingsError, match=message):
        UserPrompts(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"points_xy": [[300, 30]], "point_labels": [1]}, r"\[300\.0, 30\.0\] lies outside of the image of 120 x 90"),
        ({"points_xy": [[-9, 30]], "point_labels": [1]}, "lies outside of the image"),
        ({"box_xyxy": [130, 10, 160, 40]}, r"\[130, 10, 160, 40\] has no area inside of the image of 120 x 90"),
        ({"mask_input": np.full((32, 32), np.nan)}, "^mask_input: .* finite numbers, but 1024 of 1024 are NaN or"),
        ({"mask_input": np.zeros((8, 8))}, r"mask_input must be \(32, 32\) .* got \(8, 8\)"),
    ],
)
def test_what_lies_outside_of_the_image_is_refused(given, message):
    with pytest.raises(SettingsError, match=message):
        to_model_frame([UserPrompts(**given)], GEOMETRY, 32)


@pytest.mark.parametrize(
    "given",
    [
        {"points_xy": [[80, 100]], "point_labels": [1]},
        {"points_xy": [[30, 20], [88, 119]], "point_labels": [1, 0]},
        {"box_xyxy": [10, 95, 60, 110]},
    ],
)
def test_swapped_coordinates_are_hinted_at(given):
    with pytest.raises(SettingsError, match=r"With x and y swapped it would lie inside: x is the column, y the row"):
        to_model_frame([UserPrompts(**given)], GEOMETRY, 32)


@pytest.mark.parametrize(
    "given",
    [
        {"points_xy": [[300, 30]], "point_labels": [1]},
        {"points_xy": [[80, 100], [100, 20]], "point_labels": [1, 0]},  # the second would be outside, swapped
        {"box_xyxy": [130, 10, 160, 40]},
    ],
)
def test_no_swap_is_hinted_at_that_would_not_help(given):
    with pytest.raises(SettingsError) as caught:
        to_model_frame([UserPrompts(**given)], GEOMETRY, 32)
    assert "swapped" not in str(caught.value)


@pytest.mark.parametrize("fit", [Fit.PAD, Fit.SQUARE])
@pytest.mark.parametrize("point", [[80, 100], [80, 92.5], [60, -8]])
def test_a_point_in_the_padding_of_the_model_frame_lies_outside(fit, point):
    with pytest.raises(SettingsError, match="lies outside of the image of 120 x 90"):
        to_model_frame([UserPrompts([point], [1])], Geometry(90, 120, 64, fit), 32)


def test_a_box_of_corner_and_size_gets_its_corners():
    with pytest.raises(SettingsError, match=r"left, top, width and height, give \[55, 12, 104, 47\]"):
        UserPrompts(box_xyxy=[55, 12, 50, 36])
    with pytest.raises(SettingsError, match=r"got \[55\.0, 12\.0, 55\.0, 12\.0\]$"):
        UserPrompts(box_xyxy=[55, 12, 55, 12])


@pytest.mark.parametrize("box", [[105, 48, 55, 12], [105, 12, 55, 48], [55, 48, 105, 12]])
def test_a_box_of_other_corners_gets_them_in_order(box):
    with pytest.raises(SettingsError, match=r"If these are two opposite corners, give \[55, 12, 105, 48\]"):
        UserPrompts(box_xyxy=box)


def test_what_a_model_proposes_in_its_padding_moves_to_the_edge():
    padded = Geometry(90, 120, 64, Fit.PAD)
    moved = clipped_points(np.array([[-3, 10], [60, 110], [20, 30]], np.float32), padded)
    np.testing.assert_array_equal(moved, [[-0.5, 10], [60, 89.5], [20, 30]])
    to_model_frame([UserPrompts(moved, [1, 0, 1])], padded, 32)
    np.testing.assert_array_equal(clipped_box([60, 80, 100, 110], padded), [60, 80, 100, 89])
    assert clipped_box([60, 91, 100, 110], padded) is None


def test_a_point_in_the_cropped_border_is_refused_with_the_reason():
    cropped = Geometry(90, 120, 32, Fit.STRETCH, Box(20, 10, 100, 80))
    with pytest.raises(SettingsError, match=r"columns 20 to 99 and rows 10 to 79, what is left of .* black border"):
        to_model_frame([UserPrompts([[3, 40]], [1])], cropped, 32)


def test_points_at_the_very_edges_are_taken():
    corners = [[0, 0], [119, 0], [0, 89], [119, 89]]
    prompts = to_model_frame([UserPrompts(corners, [1, 0, 1, 0])], GEOMETRY, 32)
    assert prompts.points_xy_model.shape == (1, 1, 4, 2)
    np.testing.assert_allclose(GEOMETRY.points_to_image(prompts.points_xy_model[0, 0].numpy()), corners, atol=1e-3)


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize("side", [64, 512, 1024])
def test_points_are_taken_from_edge_to_edge_and_not_one_pixel_beyond(fit, side):
    geometry = Geometry(288, 384, side, fit)
    if side >= 384:
        for point in ([384, 10], [10, 288], [-1, 10], [10, -1]):
            with pytest.raises(SettingsError, match="lies outside of the image of 384 x 288"):
                to_model_frame([UserPrompts([point], [1])], geometry, 32)
    to_model_frame([UserPrompts([[-0.5, -0.5], [383.5, 287.5]], [1, 0])], geometry, 32)


def test_a_point_at_the_edge_of_the_model_frame_is_taken_back():
    edges = GEOMETRY.points_to_image(np.array([[0, 32], [32, 0]], np.float32))  # as a saturated APM proposes them
    to_model_frame([UserPrompts(edges, [1, 0])], GEOMETRY, 32)


def test_tensors_that_require_a_gradient_are_taken():
    points, labels = torch.tensor([[10.0, 20.0]], requires_grad=True), torch.tensor([1.0], requires_grad=True)
    box, mask = torch.tensor([1.0, 2.0, 30.0, 40.0], requires_grad=True), torch.randn(32, 32, requires_grad=True)
    prompts = to_model_frame([UserPrompts(points, labels, box, mask)], GEOMETRY, 32)
    assert prompts.mask_logits.shape == (1, 1, 32, 32)
    assert not prompts.mask_logits.requires_grad


@pytest.mark.parametrize("box", [[0, 0, 1, 1], [0, 0, 1.5, 1.5], [-0.5, -0.5, 0.5, 0.5], [10.2, 5, 10.8, 9]])
def test_small_boxes_of_pixels_are_taken(box):
    to_model_frame([UserPrompts(box_xyxy=box)], GEOMETRY, 32)


def test_a_box_is_clipped_to_the_image():
    beyond = to_model_frame([UserPrompts(box_xyxy=[-50, 20, 60, 400])], GEOMETRY, 32)
    inside = to_model_frame([UserPrompts(box_xyxy=[0, 20, 60, 89])], GEOMETRY, 32)
    assert beyond.boxes_xyxy_model.equal(inside.boxes_xyxy_model)


def test_sets_of_another_form_are_not_mixed():
    with pytest.raises(ValueError, match="1 of 2 sets of prompts have points"):
        to_model_frame([UserPrompts(box_xyxy=[0, 0, 5, 5]), UserPrompts([[1, 2]], [1])], GEOMETRY, 32)
