"""The real process that learns, on drawn scenes around the nano SAM."""

import json
from contextlib import ExitStack
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest
from PIL import Image

from promise_seg.annotator import learner
from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.comparing import held_out_dice
from promise_seg.annotator.learning import LearningOptions
from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.rounds import HeldOutScores, Job, Round
from promise_seg.scenes import draw_scene
from promise_seg.workflows.models import load
from tests.annotator.helpers import API, Tab, client_of, model_around
from tests.annotator.learning import trained

SIDE = 48
TINY = {"epochs": 1, "views": 1, "apm": "heatmap", "batch_size": 2}


def test_models_are_compared_as_the_project_uses_them(tiny_sam, tmp_path, monkeypatch):
    """With ``--always-segment``, the model before as much as the new one."""
    orders = Job("tiny", "", None, None, None, (1,), "cpu", None, 3, always_segment=True)
    work, compared = Round.new(tmp_path, orders, []), []
    before, after = model_around(tiny_sam), model_around(tiny_sam)

    def opened(name, always_segment, **more):
        before.model.always_segments = always_segment
        return before

    monkeypatch.setattr(learner, "load", opened)
    monkeypatch.setattr(learner, "train", lambda *data, **more: after)
    monkeypatch.setattr(learner, "Dataset", MagicMock(**{"from_csv.return_value": Rows(tmp_path / "a.png")}))

    def dice(model, *more):
        compared.append(model.model.always_segments)
        return np.zeros((1, 1))

    monkeypatch.setattr(learner, "held_out_dice", dice)
    learner.learn(work, lambda line: None)
    assert compared == [True, True]


class Rows(list):
    """A data set of one group, with a row for each mask; the rows of a mask are slices of one image."""

    def __init__(self, *masks):
        rows = [Mock(row=Mock(image=mask, mask=mask), index=masks[:number].count(mask))
                for number, mask in enumerate(masks)]  # fmt: skip
        super().__init__(rows)
        self.train, self.groups = rows, ["a"]


def test_models_are_also_compared_on_the_masks_that_a_person_edited(tiny_sam, tmp_path, monkeypatch):
    """A proposal that was accepted unchanged is perfect for the model before."""
    edited = {"masks/a.png": [], "masks/b.nii.gz": [1]}
    work = Round.new(tmp_path, Job("tiny", "", None, None, None, (1,), "cpu", None, 3, edited=edited), [])
    rows = Rows(*(work.folder / "masks" / name for name in ("a.png", "b.nii.gz", "b.nii.gz")))
    old, new = model_around(tiny_sam), model_around(tiny_sam)
    monkeypatch.setattr(learner, "load", lambda *names, **more: old)
    monkeypatch.setattr(learner, "train", lambda *data, **more: new)
    monkeypatch.setattr(learner, "Dataset", MagicMock(**{"from_csv.return_value": rows}))
    scores = {id(old): np.array([[1.0, 1.0, 0.25]]), id(new): np.array([[0.75, 0.75, 0.75]])}
    monkeypatch.setattr(learner, "held_out_dice", lambda model, *more: scores[id(model)])
    found = learner.learn(work, lambda line: None)
    assert (found.before, found.after) == (0.75, 0.75)
    assert (found.images, found.slices, found.edited) == (2, 3, 1)
    assert (found.before_edited, found.after_edited) == (0.25, 0.75)
    assert work.result() == found


def test_results_of_earlier_versions_are_read(tmp_path):
    """They do not say how many of the held-out masks were edited."""
    work = Round.new(tmp_path, Job("tiny", "", None, None, None, (1,), "cpu", None, 3), [])
    old = {"before": 0.5, "after": 0.75, "images": 1, "groups": 1, "trained": 2, "accepted": 3}
    (work.folder / "result.json").write_text(json.dumps(old))
    assert work.result() == HeldOutScores(0.5, 0.75, 1, 1, 2, 3)
    assert work.result().as_json()["edited"] is None
    assert work.job().edited is None


def test_masks_of_empty_classes_are_scored_by_class_and_row(tiny_sam):
    """A model of another class proposes nothing there."""
    rows = [Mock(foreground_pixels=count) for count in (0, 5, 0)]
    rows = MagicMock(is_of_several_classes=True, **{"of_class.return_value": rows})
    assert held_out_dice(model_around(tiny_sam), rows, [2, 3]).tolist() == [[1.0, 0.0, 1.0]] * 2


@pytest.fixture
def trained_on(tmp_path):
    """Accept four drawn scenes in a project of a bare SAM, and train on them; returns the project and what is known."""
    with ExitStack() as opened:

        def train_on(kind, learning, masks_of, **more):
            scenes = [draw_scene([5, number], SIDE, kind=kind) for number in range(4)]
            (tmp_path / "images").mkdir()
            for number, scene in enumerate(scenes):
                Image.fromarray(scene.image).save(tmp_path / f"images/{number}.png")
            options = Options(store=tmp_path / "store", learning=learning, **more)
            bare = load("bare", device="cpu")
            project = opened.enter_context(Project(bare, [tmp_path / "images"], tmp_path / "project", options))
            client = client_of(project)
            for number, scene in enumerate(scenes, 1):
                tab = Tab(client, number, seed=number)
                tab.open()
                for mask in masks_of(scene):
                    tab.act("add", slice=0, mask=MaskBits.of(mask).as_json(), **{"class": 1})
                tab.act("accept")
            assert not project.segmenter.proposes
            client.post(f"{API}/training", json={})
            return project, trained(client, project)

        yield train_on


@pytest.mark.slow
def test_a_sam_alone_becomes_a_model_that_proposes(trained_on):
    learning = LearningOptions(after=4, training=TINY)
    project, found = trained_on("mucosa", learning, lambda scene: [scene.instances > 0], names=["polyp"])
    assert found["state"] == "idle", found["reason"]
    assert (found["result"]["round"], found["result"]["before"]) == ("001", 0.0)
    assert found["result"]["images"] == 1
    assert found["result"]["after"] > 0
    assert found["result"]["took_over"]
    assert project.segmenter.proposes


@pytest.mark.slow
def test_a_project_of_separate_objects_learns_to_separate_them(trained_on):
    learning = LearningOptions(after=4, image_size=128, training={"epochs": 1, "views": 1, "batch_size": 2})
    project, found = trained_on(
        "cells", learning, lambda scene: [scene.instances == one for one in scene.object_ids()], instances=True
    )
    assert found["state"] == "idle", found["reason"]
    (begun,) = Round.all_of(project.folder)
    learned = load(begun.run, device="cpu")
    assert learned.model.apm.separates
    assert learned.model.config.instances is not None, "the rule that separates objects was chosen on val rows"
