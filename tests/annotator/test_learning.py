"""Training on accepted images: when it is offered, what it is given, and which model is used afterwards."""

import json
import os
import signal
import sys
import threading

import pytest

from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.rounds import Round
from promise_seg.annotator.training import Progressing
from promise_seg.dataset.manifest import read_manifest
from tests.annotator.helpers import API, Tab, client_of, refusal
from tests.annotator.learning import Pretended, accept, begun, end_training, result, trained


@pytest.fixture
def images(five_pictures):
    return five_pictures


@pytest.fixture
def options(other_model):
    return Options(user="ada", learning=Pretended(other_model))


@pytest.fixture
def project(model, images, folder, options):
    with Project(model, [images], folder, options) as project:
        yield project


def train(client, anew=False):
    return client.post(f"{API}/training", json={"anew": anew})


def stop(client):
    return client.request("DELETE", f"{API}/training", json={})


def test_training_is_offered_after_so_many_accepted_images(client):
    assert client.get(f"{API}/training").json()["missing"] == 3
    accept(client, 1, 2)
    found = client.get(f"{API}/training").json()
    assert (found["accepted"], found["missing"], found["offered"], found["state"]) == (2, 1, False, "idle")
    accept(client, 3)
    assert client.get(f"{API}/training").json()["offered"]


def test_too_few_images_are_refused_in_words(client):
    accept(client, 1, 2)
    answer = train(client)
    assert refusal(answer) == (409, "too-few")
    assert "at least three patients" in answer.json()["error"]["message"]
    assert client.get(f"{API}/training").json()["state"] == "idle"


def test_an_image_that_is_reopened_while_training_is_prepared_ends_the_preparation(client, folder, monkeypatch):
    accept(client, 1, 2, 3)

    def removed(source, target):
        source.unlink()
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("shutil.copyfile", removed)
    answer = train(client)
    assert refusal(answer) == (409, "changed")
    assert "Start the training again" in answer.json()["error"]["message"]
    assert client.get(f"{API}/training").json()["state"] == "idle"


def test_a_better_model_takes_over_and_says_by_how_much(client, folder, project, other_model):
    accept(client, 1, 2, 3)
    answer = train(client)
    assert answer.json().get("state") == "running", answer.text
    far = begun(client)
    assert (far["stage"], far["done"], far["total"], far["note"]) == ("training", 3, 9, "epoch 1/3")
    assert refusal(train(client)) == (409, "busy")
    end_training(folder, result())
    found = trained(client, project)
    assert found["result"] == {"round": "001", "took_over": True, "better": True, **result()}
    assert found["model"]["name"] == "learning/001/run"
    assert found["model"]["learned"]
    assert (found["missing"], found["offered"]) == (3, False)
    assert project.segmenter.in_use.models[1] is other_model
    assert client.get(f"{API}/project").json()["model"]["id"] == found["model"]["id"]


def test_the_process_is_told_which_held_out_masks_were_edited(client, folder, project):
    tab = Tab(client, 1)
    tab.open()
    tab.act("propose", slice=0)
    tab.act("accept")
    accept(client, 2, 3)
    train(client)
    (work,) = Round.all_of(folder)
    (held_out,) = [row.mask.stem for row in read_manifest(work.folder / "held-out.csv")]
    assert work.job().edited == {f"masks/{held_out}.png": [] if held_out == "0" else [0]}


def test_a_model_that_is_not_better_is_not_used(client, folder, project, model):
    accept(client, 1, 2, 3)
    train(client)
    end_training(folder, result(before=0.7, after=0.7))
    found = trained(client, project)
    assert (found["result"]["took_over"], found["result"]["better"]) == (False, False)
    assert found["model"]["name"] == "tiny"
    assert project.segmenter.in_use.models[1] is model


def test_what_ended_training_is_said(client, folder, project):
    accept(client, 1, 2, 3)
    train(client)
    end_training(folder, {"error": "the masks of all train rows are empty"})
    found = trained(client, project)
    assert (found["state"], found["reason"]) == ("failed", "the masks of all train rows are empty")


def test_training_that_was_stopped_goes_on_with_the_same_images(client, folder, project):
    accept(client, 1, 2, 3)
    train(client)
    stop(client)
    assert trained(client, project)["state"] == "interrupted"
    accept(client, 4)
    train(client)
    assert [path.name for path in sorted((folder / "learning").iterdir())] == ["001"]
    end_training(folder, result())
    assert trained(client, project)["result"]["round"] == "001"
    train(client, anew=True)
    end_training(folder, result(accepted=4))
    assert trained(client, project)["result"]["round"] == "002"


def test_the_process_ends_with_the_server_and_goes_on_after_it(model, images, folder, options):
    with Project(model, [images], folder, options) as project:
        client = client_of(project)
        accept(client, 1, 2, 3)
        train(client)
        process = project.learning.training._work.process
    assert process.returncode == 130
    with Project(model, [images], folder, options) as project:
        client = client_of(project)
        assert client.get(f"{API}/training").json()["state"] == "interrupted"
        train(client)
        end_training(folder, result())
        assert trained(client, project)["result"]["took_over"]


def test_a_project_goes_on_with_the_model_that_learned_from_it(model, images, folder, options, other_model):
    with Project(model, [images], folder, options) as project:
        accept(client := client_of(project), 1, 2, 3)
        train(client)
        end_training(folder, result())
        trained(client, project)
    said = []
    with Project(model, [images], folder, options, note=said.append) as project:
        assert project.segmenter.in_use.models[1] is other_model
    assert "the model that was trained in this project is used" in said[-1]
    with Project(other_model, [images], folder, options) as project:  # another model was given
        assert project.facts()["model"]["learned"] is False


def test_a_model_whose_server_ended_before_it_took_over_does_so_at_the_next_start(model, images, folder, options):
    with Project(model, [images], folder, options) as project:
        accept(client := client_of(project), 1, 2, 3)
        train(client)
    (folder / "learning/001/result.json").write_text(json.dumps(result()))
    with Project(model, [images], folder, options) as project:
        assert project.facts()["model"]["name"] == "learning/001/run"


def test_only_proposals_that_nobody_touched_are_made_anew(client, folder, project):
    seen, changed = Tab(client, 4, seed=4), Tab(client, 5, seed=5)
    for tab in (seen, changed):
        tab.open()
        tab.act("propose", slice=0)
    number = next(iter(changed.objects))
    changed.act("properties", object=number, accepted=True)
    before = {tab: tab.on_server() for tab in (seen, changed)}
    accept(client, 1, 2, 3)
    train(client)
    end_training(folder, result())
    model = trained(client, project)["model"]["id"]
    for tab in (seen, changed):
        assert tab.on_server() == before[tab]  # while somebody has it, nothing changes under their hands
        client.request("DELETE", f"{tab.place}/lease", json={"client": tab.client})
    again = Tab(client, 4, seed=6)
    again.open()
    assert again.objects == {}
    again.act("propose", slice=0)
    assert {one["model"] for one in again.objects.values()} == {model}
    kept = Tab(client, 5, seed=7)
    kept.open()
    assert kept.objects == before[changed]
    assert {one["model"] for one in kept.objects.values()} == {model - 1}


def test_a_round_has_its_own_masks_and_keeps_held_out_images_apart(client, folder):
    accept(client, 1, 2, 3, 4)
    train(client)
    rows = {name: read_manifest(folder / f"learning/001/{name}.csv") for name in ("train", "held-out")}
    assert [row.split for row in rows["train"]] == ["train", "val", "train"]
    assert len(rows["held-out"]) == 1
    groups = {name: {row.group for row in found} for name, found in rows.items()}
    assert not groups["train"] & groups["held-out"]
    for row in (*rows["train"], *rows["held-out"]):
        assert row.image.exists()
        assert row.mask.is_relative_to(folder / "learning/001")
        assert row.mask.exists()


def test_what_does_not_fit_on_the_disk_hinders_neither_a_new_model_nor_opening(client, folder, project, other_model):
    tab = Tab(client, 4, seed=4)
    tab.open()
    tab.act("propose", slice=0)
    client.request("DELETE", f"{tab.place}/lease", json={"client": tab.client})
    accept(client, 1, 2, 3)
    train(client)

    def use(*more, then=project.learning._change):
        project._database.connection.execute("PRAGMA query_only = ON")
        then(*more)

    project.learning._change = use
    end_training(folder, result())
    found = trained(client, project)
    assert (found["state"], found["result"]["took_over"]) == ("idle", True)
    assert project.segmenter.in_use.models[1] is other_model
    again = Tab(client, 4, seed=5)
    assert again.open().status_code == 200
    assert again.objects == tab.objects
    project._database.connection.execute("PRAGMA query_only = OFF")


def test_others_are_answered_while_training_is_prepared(client, project, monkeypatch):
    accept(client, 1, 2, 3)
    begins, may_go, answers = threading.Event(), threading.Event(), []

    def slow(groups, then=project.learning._roles.of):
        begins.set()
        assert may_go.wait(600)
        return then(groups)

    with monkeypatch.context() as patch:
        patch.setattr(project.learning._roles, "of", slow)
        thread = threading.Thread(target=lambda: answers.append(train(client)))
        thread.start()
        assert begins.wait(600)
        assert client.get(f"{API}/training").json()["state"] == "running"
        assert refusal(train(client)) == (409, "busy")
        stop(client)
        may_go.set()
        thread.join()
    assert answers[0].json()["state"] == "interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="groups of processes are those of POSIX")
def test_ctrl_c_in_the_terminal_is_not_for_the_process_and_its_end_by_it_is_no_failure(client, project):
    accept(client, 1, 2, 3)
    train(client)
    begun(client)
    process = project.learning.training._work.process
    assert os.getpgid(process.pid) != os.getpgid(0)
    process.send_signal(signal.SIGINT)
    assert trained(client, project)["state"] == "interrupted"


def test_time_left_is_what_the_pace_of_a_stage_says():
    line = {"stage": "training", "done": 2, "total": 10, "note": ""}
    far = Progressing().then(line, 100.0)
    assert far.seconds_left(100.0) is None
    far = far.then(line | {"done": 4}, 106.0)
    assert far.seconds_left(106.0) == 18.0
    assert far.then(line | {"stage": "checking"}, 107.0).seconds_left(107.0) is None
