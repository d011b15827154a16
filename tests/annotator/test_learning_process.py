"""The real process that learns, on drawn scenes around the nano SAM."""

from unittest.mock import MagicMock

import pytest
from PIL import Image

from promise_seg.annotator import learner
from promise_seg.annotator.bits import MaskBits
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
    monkeypatch.setattr(learner, "Dataset", MagicMock(**{"from_csv.return_value": MagicMock(__len__=lambda rows: 1)}))
    monkeypatch.setattr(learner, "HeldOutScores", lambda *facts: HeldOutScores(0.0, 0.0, 1, 1, 1, 3))
    monkeypatch.setattr(learner, "held_out_dice", lambda model, *more: compared.append(model.model.always_segments))
    learner.learn(work, lambda line: None)
    assert compared == [True, True]


@pytest.mark.slow
def test_a_sam_alone_becomes_a_model_that_proposes(tmp_path):
    (tmp_path / "images").mkdir()
    options = Options(names=["polyp"], store=tmp_path / "store", learning=LearningOptions(after=4, training=TINY))
    scenes = [draw_scene([5, number], SIDE, kind="mucosa") for number in range(4)]
    for number, scene in enumerate(scenes):
        Image.fromarray(scene.image).save(tmp_path / f"images/{number}.png")
    with Project(load("bare", device="cpu"), [tmp_path / "images"], tmp_path / "project", options) as project:
        client = client_of(project)
        for number, scene in enumerate(scenes, 1):
            tab = Tab(client, number, seed=number)
            tab.open()
            tab.act("add", slice=0, mask=MaskBits.of(scene.instances > 0).as_json(), **{"class": 1})
            tab.act("accept")
        client.post(f"{API}/training", json={})
        assert not project.segmenter.proposes
        found = trained(client, project)
        assert found["state"] == "idle", found["reason"]
        assert (found["result"]["round"], found["result"]["before"]) == ("001", 0.0)
        assert found["result"]["images"] == 1
        assert found["result"]["after"] > 0
        assert found["result"]["took_over"]
        assert project.segmenter.proposes
