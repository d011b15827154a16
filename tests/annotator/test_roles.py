"""The use of groups of images in training: no model is compared on what it, or one before it, learned from."""

import json

import pytest

from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.roles import Role, Roles
from promise_seg.annotator.rounds import Round
from promise_seg.annotator.seen import Seen
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.readers import content_sha256
from tests.annotator.helpers import API, client_of, refusal
from tests.annotator.learning import Pretended, accept
from tests.helpers import write_dataset


@pytest.fixture
def images(tmp_path):
    """A manifest of five pictures, whose second is a test row."""
    return write_dataset(tmp_path / "data", ("train", "test", "train", "train", "train"))


@pytest.fixture
def options(model):
    return Options(user="ada", learning=Pretended(model, always_segment=True))


@pytest.fixture
def project(model, images, folder, options):
    with Project(model, [images], folder, options) as project:
        yield project


@pytest.fixture
def roles(project):
    return Roles(project._database)


def test_a_group_keeps_its_use_for_ever(roles):
    first = roles.of((f"patient {n}", "train", False) for n in range(3))
    assert first == {"patient 0": Role.TRAIN, "patient 1": Role.HELD_OUT, "patient 2": Role.VAL}
    more = [("seen", "train", True), ("video", "val", False), ("secret", "test", False), ("new", "train", False)]
    then = roles.of([*more, ("gone", "train", None), *((f"patient {n}", "val", None) for n in (2, 1, 0))])
    assert then == first | {"seen": Role.TRAIN, "video": Role.VAL, "new": Role.TRAIN, "gone": Role.TRAIN}


def test_a_held_out_group_that_a_model_was_trained_on_is_learned_from_and_another_takes_its_place(roles):
    roles.of((f"patient {n}", "train", False) for n in range(4))
    then = roles.of([("patient 1", "train", True), ("new", "train", False), ("newer", "train", False)])
    assert (then["patient 1"], then["new"], then["newer"]) == (Role.TRAIN, Role.HELD_OUT, Role.TRAIN)
    assert roles.of([("patient 1", "train", False)])["patient 1"] == Role.TRAIN


def test_a_drawn_group_that_was_to_choose_on_is_learned_from_too_once_a_model_was_trained_on_it(roles):
    roles.of((f"patient {n}", "train", False) for n in range(3))
    roles.of([("video", "val", False)])
    then = roles.of([("patient 2", "train", True), ("video", "val", True), ("new", "train", False)])
    assert (then["patient 2"], then["video"], then["new"]) == (Role.TRAIN, Role.VAL, Role.VAL)


def test_test_rows_are_neither_counted_nor_learned_from_whatever_their_group_was_used_for(project, folder):
    client = client_of(project)
    groups = {project.catalogue.image(number).row.group for number in (1, 2)}
    Roles(project._database).of((group, "train", False) for group in sorted(groups))
    accept(client, 1, 2, 3)
    found = client.get(f"{API}/training").json()
    assert (found["accepted"], found["missing"], found["offered"]) == (2, 1, False)
    accept(client, 4, 5)
    client.post(f"{API}/training", json={})
    job = json.loads((folder / "learning/001/job.json").read_text())
    assert (job["images"], job["always_segment"]) == (4, True)
    rows = [row for name in ("train", "held-out") for row in read_manifest(folder / f"learning/001/{name}.csv")]
    assert sorted(row.image.name for row in rows) == ["0.png", "2.png", "3.png", "4.png"]


def test_what_earlier_rounds_learned_from_is_known_by_its_file_and_its_content(project, folder, model):
    client = client_of(project)
    accept(client, 1, 3, 5)
    client.post(f"{API}/training", json={})
    (work,) = Round.all_of(folder)
    listed = dict(project.acceptances.to_learn_from())
    trained = {row.image.resolve() for row in read_manifest(work.folder / "train.csv") if row.split == "train"}
    by_file = Seen(folder, project.catalogue, [model])
    assert {number: by_file.has(number, one) for number, one in listed.items()} == {
        number: (folder / one.image).resolve() in trained for number, one in listed.items()
    }
    assert len(trained) == 1
    held_out = next(number for number, one in listed.items() if one.image.endswith("2.png"))
    sha256 = content_sha256(project.catalogue.source(held_out), 0, project.catalogue.reading)
    work.run.mkdir()
    (work.run / "training_images.json").write_text(json.dumps({"train": [sha256], "val": []}))
    assert Seen(folder, project.catalogue, [model]).has(held_out, listed[held_out]) is True


def test_a_damaged_note_of_what_was_learned_from_is_said(project, folder):
    client = client_of(project)
    accept(client, 1, 3, 5)
    client.post(f"{API}/training", json={})
    client.request("DELETE", f"{API}/training", json={})
    project.learning.training._thread.join(600)
    (folder / "learning/001/run").mkdir()
    (folder / "learning/001/run/training_images.json").write_text("{")
    answer = client.post(f"{API}/training", json={"anew": True})
    assert refusal(answer) == (422, "unreadable")
    assert "training_images.json" in answer.json()["error"]["message"]
    assert client.get(f"{API}/training").json()["state"] == "interrupted"
