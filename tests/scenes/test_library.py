import numpy as np
import pytest

from promise_seg.scenes import draw_scene, library
from promise_seg.scenes.library import SceneLibrary


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(library, "CHUNK", 4)


def test_it_holds_what_draw_scene_draws(tmp_path):
    scenes = SceneLibrary(tmp_path, 6, seed=2, size=32)
    scenes.draw()
    image, instances = scenes[5]
    expected = draw_scene([2, 5], 32)
    assert np.array_equal(image, expected.image)
    assert np.array_equal(instances, expected.instances)
    with pytest.raises(IndexError, match="6"):
        scenes[6]


def test_chunks_that_exist_are_not_drawn_again(tmp_path, monkeypatch):
    SceneLibrary(tmp_path, 6, seed=2, size=32).draw()
    drawn = []
    monkeypatch.setattr(library, "_draw_chunk", lambda job: drawn.append(job))
    done = []
    SceneLibrary(tmp_path, 6, seed=2, size=32).draw(progress=done.append)
    assert drawn == []
    assert sum(done) == 8
