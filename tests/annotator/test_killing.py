"""A server that is killed at any moment loses no action that it acknowledged."""

import json
import multiprocessing
import os
import signal
import threading

import httpx2 as httpx
import numpy as np
import pytest
import torch

from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.running import running
from tests.annotator.helpers import Tab, bits_of, model_around, points
from tests.helpers import make_tiny_sam, write_dataset

KILLS = int(os.environ.get("PROMISE_SEG_KILLS", "10"))
"""How often the server is killed; more by hand."""


def serve(images, folder, store, said):
    """Serve until killed, and say where."""
    torch.set_num_threads(1)
    model = model_around(make_tiny_sam())
    with Project(model, [images], folder, Options(store=store)) as project, running(project) as access:
        said.send((access.port, access.token))
        threading.Event().wait()


class Server:
    """A server in a process of its own, on the data set and the project in a folder."""

    def __init__(self, place):
        hears, says = multiprocessing.Pipe()
        context = multiprocessing.get_context("forkserver")  # copies of a process that has imports, and no threads
        context.set_forkserver_preload([__name__])
        self.process = context.Process(
            target=serve, args=(place / "data/manifest.csv", place / "project", place / "store", says), daemon=True
        )
        self.process.start()
        assert hears.poll(600)  # on however busy a computer: the first has everything to import
        port, token = hears.recv()
        address = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=address, headers={"origin": address}, timeout=60)
        assert self.client.get(f"/?token={token}").status_code == 200

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()


def random_action(rng, objects):
    left, top = int(rng.integers(30)), int(rng.integers(20))
    mask = bits_of(slice(top, top + 5), slice(left, left + 5))
    if not objects or rng.random() < 0.15:
        return {"type": "add", "slice": 0, "class": 1, "mask": mask}
    number = int(rng.choice(sorted(objects)))
    kinds = [
        {"type": "prompts", "object": number, "points": points((left, top, 1)), "box": None},
        {"type": "stroke", "object": number, "mode": "add", "mask": mask},
        {"type": "remove", "object": number},
        {"type": "undo"},
        {"type": "redo"},
        {"type": "accept"},
        {"type": "reopen"},
    ]
    return kinds[int(rng.integers(len(kinds)))]


@pytest.mark.slow
def test_no_acknowledged_action_is_lost_when_the_server_is_killed(tmp_path):
    write_dataset(tmp_path / "data", ("train",))
    rng = np.random.default_rng(0)
    known, unanswered, tab = {}, None, None
    for number in range(KILLS + 1):
        server = Server(tmp_path)
        last, tab = tab, Tab(server.client, 1, seed=number)
        assert tab.open(take=True).status_code == 200
        if unanswered is not None:
            was_done = tab.revision == last.revision + 1
            answer = server.client.post(f"{tab.place}/actions", json=unanswered | {"client": tab.client})
            assert answer.status_code == 200, answer.text
            last.take(answer.json())  # the same answer, whether it was done before or is done now
            assert last.revision == tab.revision + (not was_done)
            known, tab.objects, tab.revision = dict(last.objects), dict(last.objects), last.revision
        assert tab.on_server() == known
        killer = threading.Timer(float(rng.uniform(0.0, 0.4)), server.kill)
        killer.start()
        unanswered = None
        while unanswered is None:
            action = random_action(rng, tab.objects)
            body = {"id": tab.new_id(), "client": tab.client, "revision": tab.revision, "action": action}
            try:
                answer = server.client.post(f"{tab.place}/actions", json=body)
            except httpx.TransportError:
                unanswered = body
            else:
                assert answer.status_code == 200, answer.text
                tab.take(answer.json())
        killer.join()
        known = dict(tab.objects)
    for name in (tmp_path / "project/prompts").glob("*.json"):
        json.loads(name.read_text())  # whole
