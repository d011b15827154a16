"""Which models a project knows, what they are known by, and the numbers of rounds."""

import shutil

import pytest

from promise_seg.annotator import learning
from promise_seg.annotator.lineage import identities_of, identity_of
from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.rounds import Round
from promise_seg.errors import CheckpointError
from promise_seg.workflows.models import Model, load
from tests.annotator.helpers import API, client_of
from tests.annotator.learning import Pretended, accept, end_training, result, trained


@pytest.fixture
def images(five_pictures):
    return five_pictures


@pytest.fixture
def options(other_model):
    return Options(learning=Pretended(other_model))


@pytest.fixture
def learned(model, images, folder, options):
    """The project's folder, after a round whose model took over."""
    with Project(model, [images], folder, options) as project:
        accept(client := client_of(project), 1, 2, 3)
        client.post(f"{API}/training", json={})
        end_training(folder, result())
        assert trained(client, project)["result"]["took_over"]
    return folder


def test_what_learned_from_a_model_is_found_after_another_was_given(learned, model, images, options, other_model):
    with Project(other_model, [images], learned, options) as project:
        assert project.facts()["model"]["learned"] is False
        between = project.facts()["model"]["id"]
    with Project(model, [images], learned, options) as project:
        assert project.facts()["model"]["name"] == "learning/001/run"
    with Project(other_model, [images], learned, options) as project:
        assert project.facts()["model"]["id"] == between


def test_models_that_learned_from_another_than_the_given_one_are_said(learned, model, images, options, other_model):
    said = []
    with Project(other_model, [images], learned, options, note=said.append):
        assert len(said) == 1
        assert "based on another model than the given one, so they are not used" in said[0]
        assert "give tiny as MODEL" in said[0]


def test_a_project_that_knows_a_sam_alone_by_its_earlier_hash_goes_on(images, folder, other_model, monkeypatch):
    bare = load("bare", device="cpu")
    (earlier,) = identities_of(bare) - {identity_of(bare)}
    options = Options(learning=Pretended(other_model))
    with monkeypatch.context() as patch:
        patch.setattr(learning, "identity_of", lambda model: earlier)
        patch.setattr(learning, "identities_of", lambda model: {earlier})
        with Project(bare, [images], folder, options) as project:
            accept(client := client_of(project), 1, 2, 3)
            client.post(f"{API}/training", json={})
            end_training(folder, result())
            assert trained(client, project)["result"]["took_over"]
            client.post(f"{API}/training", json={})
    with Project(bare, [images], folder, options) as project:
        assert project.facts()["model"]["name"] == "learning/001/run"
        assert client_of(project).get(f"{API}/training").json()["state"] == "interrupted"
        assert len(project.learning.lineage.all()) == 2


def test_a_model_that_cannot_be_opened_once_is_used_when_it_can_be(learned, model, images, options, monkeypatch):
    def damaged(self, folder):
        raise CheckpointError(f"{folder}: damaged")

    said = []
    with monkeypatch.context() as patch:
        patch.setattr(Pretended, "opened", damaged)
        with Project(model, [images], learned, options, note=said.append) as project:
            assert project.facts()["model"]["id"] == 1
            assert len(project.learning.lineage.all()) == 2
    assert "cannot be loaded, so the given model is used: " in said[0]
    with Project(model, [images], learned, options) as project:
        assert project.facts()["model"]["name"] == "learning/001/run"


def test_numbers_of_rounds_are_not_given_again_after_their_folders_are_gone(learned, model, images, options):
    with Project(model, [images], learned, options) as project:
        shutil.rmtree(learned / "learning")
        client = client_of(project)
        client.post(f"{API}/training", json={})
        assert [one.folder.name for one in Round.all_of(learned)] == ["002"]
        end_training(learned, result())
        assert trained(client, project)["result"]["took_over"]


def test_what_another_model_began_is_not_gone_on_with(learned, model, images, options, other_model):
    with Project(model, [images], learned, options) as project:
        client_of(project).post(f"{API}/training", json={})
    with Project(other_model, [images], learned, options) as project:
        assert client_of(project).get(f"{API}/training").json()["state"] == "idle"
    with Project(model, [images], learned, options) as project:
        assert client_of(project).get(f"{API}/training").json()["state"] == "interrupted"


def test_copies_of_rounds_are_none(learned):
    shutil.copytree(learned / "learning/001", learned / "learning/001 copy")
    assert [one.folder.name for one in Round.all_of(learned)] == ["001"]


def test_a_sam_alone_is_known_by_itself_and_how_it_sees_images():
    bare = load("bare", device="cpu")

    def changed(**facts):
        again = load("bare", sam=bare.sam, device="cpu")
        again.model.config = again.model.config.model_copy(update=facts)
        return identity_of(Model(again.ref, again.part, again.model))

    assert changed(promise_seg_version="9.9", sam="/another/place") == identity_of(bare)
    assert changed(image_size=64) != identity_of(bare)
