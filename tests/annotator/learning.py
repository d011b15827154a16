"""A stand-in of the process that learns: it says what a test tells it to, and ends as a test tells it to."""

import json
import sys
import time

from promise_seg.annotator.learning import LearningOptions
from promise_seg.annotator.rounds import LEARNING
from tests.annotator.helpers import API, Tab, bits_of

_LONGEST = 600.0
"""Seconds after which something hangs, on however busy a computer."""
SCRIPT = """
import json, os, signal, sys, threading, time
from pathlib import Path
signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # before it says anything: then a test may send the signal
folder = Path(sys.argv[1])
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(130)), daemon=True).start()
print(json.dumps({"stage": "training", "done": 3, "total": 9, "note": "epoch 1/3"}), flush=True)
end = folder.parent / "end.json"
while not end.exists():
    time.sleep(0.01)
told = json.loads(end.read_text())
end.unlink()
if "error" in told:
    print(json.dumps(told), flush=True)
    os._exit(2)
(folder / "result.json").write_text(json.dumps(told))
os._exit(0)
"""
COMMAND = (sys.executable, "-S", "-c", SCRIPT)


class Pretended(LearningOptions):
    """Learning in which a process only pretends, and a given model is what was learned."""

    def __new__(cls, *args, **more):
        return super().__new__(cls)

    def __init__(self, learned, after=3, **more):
        super().__init__(after=after, command=COMMAND, **more)
        object.__setattr__(self, "learned", learned)

    def opened(self, folder):
        """The model that was learned."""
        return self.learned


def result(before=0.5, after=0.75, accepted=3):
    """How a round ended."""
    return {
        "before": before, "after": after, "images": 1, "groups": 1, "trained": 1, "accepted": accepted,
        "slices": 1, "edited": 1, "before_edited": before, "after_edited": after,
    }  # fmt: skip


def end_training(folder, said):
    """Have the pretending process end."""
    written = folder / LEARNING / "end.tmp"
    written.write_text(json.dumps(said))
    written.rename(folder / LEARNING / "end.json")


def trained(client, project):
    """Wait until the process has ended, and return what is known of training then."""
    thread = project.learning.training._thread
    thread.join(_LONGEST)
    assert not thread.is_alive()
    found = client.get(f"{API}/training").json()
    assert found["state"] != "running"
    return found


def begun(client):
    """Wait until the process has said how far it is, and return that."""
    ends = time.monotonic() + _LONGEST
    while time.monotonic() < ends:
        found = client.get(f"{API}/training").json()
        assert found["state"] == "running", found
        if found["progress"]["stage"]:
            return found["progress"]
        time.sleep(0.01)
    raise AssertionError(found)


def accept(client, *images):
    """Accept images with an object each."""
    for image in images:
        tab = Tab(client, image, seed=image)
        tab.open()
        tab.act("add", slice=0, mask=bits_of(slice(3, 9), slice(4, 12)), **{"class": 1})
        tab.act("accept")
