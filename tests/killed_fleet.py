"""A Ray cluster whose workers, nodes and driver are killed at moments by chance ends with what one process makes.

    python -m tests.killed_fleet FOLDER --images 500 --kills 20 --rounds 1 --seed 0

The cluster is on this computer: a head node, and three nodes with a worker each. The driver is the command itself.
"""

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from PIL import Image
from ray.cluster_utils import Cluster

from promise_seg.checkpoint import SAM_BESIDE, save_checkpoint
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.prediction.folders import predict_folder
from promise_seg.workflows.predicting import load_labeller
from tests.helpers import disc_image, make_model, make_tiny_sam
from tests.prediction.part_helpers import content

NODES = 3
KINDS = {"worker": 6, "node": 3, "driver": 2}
"""What is killed, with how often relative to the others; with three kills or more, each at least once."""


def make_run(folder: Path) -> Path:
    """Write a model with a tiny random SAM."""
    model = make_model(make_tiny_sam())
    model.config = model.config.model_copy(update={"sam": SAM_BESIDE})
    save_checkpoint(model, folder / "run")
    return folder / "run"


def make_images(folder: Path, count: int) -> Path:
    """Write drawn images into two folders."""
    for number in range(count):
        place = folder / f"images/p{number % 2}/{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(disc_image(number)[0]).save(place)
    return folder / "images"


def workers_below(parent: psutil.Process) -> list[psutil.Process]:
    """The processes of workers of a cluster that a process has started."""
    found = []
    for one in parent.children(recursive=True):
        try:
            if any(word.startswith("ray::Shell") for word in one.cmdline()):
                found.append(one)
        except psutil.Error:
            continue
    return found


class Killed:
    """One run of the command on a cluster, and what is killed meanwhile."""

    def __init__(self, folder: Path, out: Path, rng: random.Random) -> None:
        self._folder, self._out, self._rng = folder, out, rng
        self.cluster = Cluster()
        self.cluster.add_node(num_cpus=0)
        self._nodes = [self.cluster.add_node(num_cpus=1) for _ in range(NODES)]
        self.killed: Counter[str] = Counter()
        self.driver = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable, "-c", "from promise_seg.cli.console import run; run()", "predict",
            str(self._folder / "run"), str(self._folder / "images"), "-o", str(self._out),
            "--ray", self.cluster.address,
        ]  # fmt: skip
        with (self._folder / "log.txt").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def run(self, images: int, kills: int) -> int:
        """Return the exit code of the command, after so many kills."""
        moments = sorted(self._rng.sample(range(images), kills))
        kinds = [*KINDS, *self._rng.choices(list(KINDS), KINDS.values(), k=max(0, kills - len(KINDS)))]
        self._rng.shuffle(kinds)
        while self.driver.poll() is None:
            done = sum(1 for _ in self._out.glob("overlays/*/*.png"))
            if moments and done >= moments[0] and self._kill(kinds[0]):
                del moments[0], kinds[0]
            time.sleep(0.02)
        return self.driver.returncode

    def _kill(self, kind: str) -> bool:
        if kind == "worker":
            found = workers_below(psutil.Process())
            if not found:
                return False
            self._rng.choice(found).kill()
        elif kind == "node":
            node = self._nodes.pop(self._rng.randrange(len(self._nodes)))
            self.cluster.remove_node(node, allow_graceful=False)
            self._nodes.append(self.cluster.add_node(num_cpus=1))
        else:
            os.kill(self.driver.pid, signal.SIGKILL)
            self.driver.wait()
            self.driver = self._start()
        self.killed[kind] += 1
        return True


def main() -> None:
    """Do the rounds, and stop at the first whose result is not that of one process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, default in (("images", 500), ("kills", 20), ("rounds", 1), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    folder = options.folder.absolute()
    run, images, total = make_run(folder), make_images(folder, options.images), Counter[str]()
    predict_folder(load_labeller(str(run)), find_inputs([images]), folder / "whole")
    for number in range(options.rounds):
        out, started = folder / f"out{number}", time.monotonic()
        killed = Killed(folder, out, random.Random(options.seed + number))
        try:
            code = killed.run(options.images, options.kills)
        finally:
            killed.driver.kill()
            killed.cluster.shutdown()
        assert code == 0, code
        with (out / "predictions.csv").open(newline="") as file:
            names = Counter(line["image"] for line in csv.DictReader(file))
        assert len(names) == options.images, len(names)
        assert set(names.values()) == {1}
        assert content(out) == content(folder / "whole")
        words = ", ".join(f"{count} x {kind}" for kind, count in sorted(killed.killed.items()))
        print(
            f"round {number}: killed {words}; all {len(names)} images right, {time.monotonic() - started:.0f} s",
            flush=True,
        )
        total += killed.killed
    print(f"{options.rounds} rounds, killed {dict(sorted(total.items()))}")


if __name__ == "__main__":
    main()
