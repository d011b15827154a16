"""The real process that learns, on drawn scenes around the nano SAM."""

import pytest
from PIL import Image

from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.learning import LearningOptions
from promise_seg.annotator.project import Options, Project
from promise_seg.scenes import draw_scene
from promise_seg.workflows.models import load
from tests.annotator.helpers import API, Tab, client_of
from tests.annotator.learning import trained

SIDE = 48
TINY = {"epochs": 1, "views": 1, "apm": "heatmap", "batch_size": 2}


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
