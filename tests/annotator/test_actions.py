"""Each action through the API, on a picture of 40 x 30 pixels."""

import numpy as np
import pytest

from promise_seg.annotator.catalogue import Catalogue
from promise_seg.annotator.refusals import Refusal
from tests.annotator.helpers import bits_of, mask_of, points, refusal

RECTANGLE = (slice(5, 15), slice(10, 30))


def test_the_proposal_is_that_of_predict(tab, model, images):
    found = tab.act("propose", slice=0)
    own = model.predict(images.parent / "images/0.png")
    (one,) = found["changed"]
    assert one["automatic"]
    assert np.array_equal(mask_of(one), own.mask)
    assert found["proposed"] == [0]
    assert not found["can_undo"]
    assert tab.act("propose", slice=0)["changed"] == []  # once alone


def test_prompts_are_answered_as_by_predict(tab, model, images):
    tab.act("propose", slice=0)
    (one,) = tab.act("prompts", object=1, points=points((20, 12, 1), (3, 3, 0)), box=[5, 4, 33, 25])["changed"]
    expected = model.predict(
        images.parent / "images/0.png", points_xy=[[20, 12], [3, 3]], point_labels=[1, 0], box_xyxy=[5, 4, 33, 25]
    )
    assert np.array_equal(mask_of(one), expected.mask)
    assert one["score"] == pytest.approx(expected.predicted_iou)
    assert len(one["candidates"]) == 3
    assert not one["automatic"]


def test_without_prompts_a_mask_is_empty(tab):
    tab.act("add", slice=0, **{"class": 1}, points=points((20, 12, 1)))
    (one,) = tab.act("prompts", object=1, points=[], box=None)["changed"]
    assert not mask_of(one).any()
    assert one["score"] is None


def test_a_candidate_is_taken_until_prompts_change(tab):
    (one,) = tab.act("add", slice=0, **{"class": 1}, points=points((20, 12, 1)))["changed"]
    other = (one["chosen"] + 1) % 3
    (chosen,) = tab.act("candidate", object=1, candidate=other)["changed"]
    assert chosen["chosen"] == chosen["candidate"] == other
    assert chosen["score"] == pytest.approx(one["candidates"][other]["score"])
    (moved,) = tab.act("prompts", object=1, points=points((21, 12, 1)), box=None)["changed"]
    assert moved["candidate"] is None


def test_what_was_painted_stays_on_top_of_every_answer(tab):
    tab.act("add", slice=0, **{"class": 1}, points=points((20, 12, 1)))
    tab.act("stroke", object=1, mode="add", mask=bits_of(*RECTANGLE))
    (erased,) = tab.act("stroke", object=1, mode="erase", mask=bits_of(slice(5, 10), slice(10, 30)))["changed"]
    assert erased["painted"]
    (moved,) = tab.act("prompts", object=1, points=points((3, 3, 1)), box=None)["changed"]
    mask = mask_of(moved)
    assert not mask[5:10, 10:30].any()
    assert mask[10:15, 10:30].all()
    assert moved["painted"]


def test_a_given_mask_can_be_refined_by_prompts(tab):
    (one,) = tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))["changed"]
    assert one["imported"]
    assert one["mask"] == bits_of(*RECTANGLE)
    (begun,) = tab.act("refine", object=1)["changed"]
    assert begun["refines"]
    assert begun["mask"] == one["mask"]
    (refined,) = tab.act("prompts", object=1, points=points((20, 12, 1)), box=None)["changed"]
    tab.act("add", slice=0, **{"class": 1}, points=points((20, 12, 1)))
    assert refined["mask"] != tab.objects[2]["mask"]  # the same prompts without the mask
    (ended,) = tab.act("prompts", object=1, points=[], box=None)["changed"]
    assert ended["mask"] == one["mask"]


def test_back_to_automatic_forgets_prompts_and_strokes(tab):
    (first,) = tab.act("propose", slice=0)["changed"]
    tab.act("prompts", object=1, points=points((3, 3, 1)), box=None)
    tab.act("stroke", object=1, mode="add", mask=bits_of(*RECTANGLE))
    (back,) = tab.act("automatic", object=1)["changed"]
    assert back == first


def test_a_locked_object_can_only_be_unlocked(tab):
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))
    tab.act("properties", object=1, locked=True)
    for action in (
        {"type": "remove", "object": 1},
        {"type": "prompts", "object": 1, "points": [], "box": None},
        {"type": "stroke", "object": 1, "mode": "erase", "mask": bits_of(*RECTANGLE)},
        {"type": "refine", "object": 1},
        {"type": "automatic", "object": 1},
        {"type": "candidate", "object": 1, "candidate": 0},
    ):
        assert refusal(tab.send(action)) == (409, "locked")
    tab.act("properties", object=1, hidden=True)
    tab.act("properties", object=1, locked=False)
    assert tab.act("remove", object=1)["removed"] == [1]


def test_ids_of_objects_are_never_used_twice(tab):
    tab.act("add", slice=0, **{"class": 1})
    tab.act("remove", object=1)
    (second,) = tab.act("add", slice=0, **{"class": 1})["changed"]
    assert second["id"] == 2


def test_a_change_of_a_finished_image_opens_it_again(tab, folder):
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))
    assert tab.act("accept")["state"] == "done"
    assert "masks/0.png" in (folder / "manifest.csv").read_text()
    assert tab.act("properties", object=1, hidden=True)["state"] == "open"
    assert "masks/0.png" not in (folder / "manifest.csv").read_text()
    assert tab.act("skip")["state"] == "skipped"
    assert tab.act("reopen")["state"] == "open"


def test_truth_gives_the_dice_of_all_objects(tab):
    assert tab.http.get(tab.place).json()["dice"] == {}
    found = tab.act("add", slice=0, **{"class": 1}, mask=bits_of(slice(0, 30), slice(0, 40)))
    assert 0 < found["dice"]["0"] < 0.6


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ({"type": "propose", "slice": 1}, "unknown"),
        ({"type": "add", "slice": 0, "class": 9}, "invalid"),
        ({"type": "add", "slice": 0, "class": 1, "points": points((40, 3, 1))}, "invalid"),
        ({"type": "add", "slice": 0, "class": 1, "points": points((3, 29.6, 1))}, "invalid"),
        ({"type": "add", "slice": 0, "class": 1, "box": [9, 9, 9, 12]}, "invalid"),
        ({"type": "add", "slice": 0, "class": 1, "box": [-0.4, 3, 12, 2]}, "invalid"),
        ({"type": "add", "slice": 0, "class": 1, "mask": {"box": [30, 0, 20, 2], "bits": "AAAA"}}, "invalid"),
        ({"type": "add", "slice": 0, "class": 1, "mask": bits_of(*RECTANGLE), "box": [1, 1, 9, 9]}, "invalid"),
        ({"type": "remove", "object": 1}, "unknown"),
        ({"type": "candidate", "object": 1, "candidate": 3}, "invalid"),
        ({"type": "refine"}, "invalid"),
        ({"type": "sing"}, "invalid"),
        ({"type": "undo", "steps": 2}, "invalid"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(tab, action, code):
    answer = tab.send(action)
    assert refusal(answer)[1] == code
    assert answer.status_code in (404, 422)
    assert tab.on_server() == {}
    assert tab.http.get(tab.place).json()["revision"] == 0


def test_what_is_done_is_answered_even_if_the_dice_cannot_be_told(tab, monkeypatch):
    """As when the image changes between the two."""

    def changed(*more):
        raise Refusal(409, "changed", "The file is not what it was")

    monkeypatch.setattr(Catalogue, "source", changed)
    assert tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))["dice"] == {}


def test_a_box_may_reach_beyond_the_image(tab):
    """As docs/annotator-api.md says; to the left and above it was once refused."""
    tab.act("add", slice=0, **{"class": 1}, points=[], box=[0, 0, 39, 29])
    tab.act("add", slice=0, **{"class": 1}, points=[], box=[-500.5, -3, 3_000_000 / 2, 500])
    assert tab.objects[2]["mask"] == tab.objects[1]["mask"]
