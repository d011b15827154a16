"""Processes that share work and are killed at moments by chance; others must end with what one process makes.

    python -m tests.parallel.killed_processes predict FOLDER ROUNDS
    python -m tests.parallel.killed_processes encode FOLDER ROUNDS

A process of its own does it, whose libraries have no threads: copies of one that has some may wait for threads, or for
locks of threads, that they do not have. A copy that takes too long says where it is, and ends.
"""

import faulthandler
import itertools
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":  # before anything that computes is imported
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import cv2
import torch

from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.features.store import FeatureStore
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.inference import sharing
from promise_seg.inference.encoding import Sample, encode_missing
from promise_seg.parallel.parts import Part
from promise_seg.prediction import part_run
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.merging import merge_parts
from promise_seg.prediction.predictor import Predictor
from promise_seg.vocabulary import Fit
from tests.helpers import make_model, make_tiny_sam, write_dataset
from tests.prediction.part_helpers import content, write_pictures

LIMIT_SECONDS = 240.0
"""What a copy may take, which is a second or two on an idle machine."""
_MOMENTS = 60
_THREADS = Path("/proc/self/task")  # of Linux


def kill_at(number: int) -> None:
    """Let this process be killed at one of its changes of files."""
    changes = itertools.count()

    def counted(change: Callable) -> Callable:
        def call(*arguments, **more):
            if next(changes) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **more)

        return call

    os.link, os.unlink, os.replace = counted(os.link), counted(os.unlink), counted(os.replace)
    Path.open = counted(Path.open)


def together(works: Sequence[tuple[Callable[[], object], int | None]]) -> None:
    """Do all work at once, each in a copy of this process, which is killed at a change unless that is ``None``."""
    assert not _THREADS.is_dir() or len(list(_THREADS.iterdir())) == 1, "a copy would lack threads"
    pids = []
    for work, fault in works:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                faulthandler.dump_traceback_later(LIMIT_SECONDS, exit=True)
                if fault is not None:
                    kill_at(fault)
                work()
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        pids.append(pid)
    codes = dict(_ended() for _ in pids)
    for pid, (_, fault) in zip(pids, works, strict=True):
        assert codes[pid] == 0 or (codes[pid] == -signal.SIGKILL and fault is not None), codes


def _ended() -> tuple[int, int]:
    """Wait for whichever copy ends next, as one may wait for what another leaves; return its number and exit code."""
    pid, status = os.wait()
    return pid, os.waitstatus_to_exitcode(status)


def predict(folder: Path, rounds: int) -> None:
    """Predict overlapping parts of one list of images."""
    labeller = Labeller({1: Predictor(make_model(make_tiny_sam()))})
    inputs = find_inputs([write_pictures(folder / "images", 6)])
    together([(lambda: predict_folder(labeller, inputs, folder / "whole"), None)])
    rng = random.Random(7)
    for number in range(rounds):
        out = folder / str(number)

        def work(part: str, out: Path = out) -> Callable[[], object]:
            return lambda: part_run.predict_part(labeller, inputs, out, part=Part.parse(part))

        moments = [rng.randrange(_MOMENTS) for _ in range(2)]
        together([(work("1/2"), moments[0]), (work("2/2"), moments[1]), (work("1/1"), None)])
        assert merge_parts(out).is_complete
        assert content(out) == content(folder / "whole"), moments


def encode(folder: Path, rounds: int) -> None:
    """Encode the same views into one store."""
    sam, rows = make_tiny_sam(), check_rows(read_manifest(write_dataset(folder / "data")))
    samples = [Sample.of(row, sam, Fit.STRETCH, view) for view in range(2) for row in rows]
    together([(lambda: encode_missing(samples, sam, FeatureStore(folder / "whole")), None)])
    rng = random.Random(3)
    for number in range(rounds):
        store = FeatureStore(folder / str(number))

        def work(store: FeatureStore = store) -> None:
            sharing.encode_shared(samples, sam, store)

        moments = [rng.randrange(_MOMENTS) for _ in range(3)]
        together([*((work, moment) for moment in moments), (work, None)])
        assert entries(store.folder) == entries(folder / "whole"), moments


def entries(folder: Path) -> dict[str, bytes]:
    """The entries of a store."""
    return {path.name: path.read_bytes() for path in folder.glob("??/*.safetensors")}


if __name__ == "__main__":
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    os.fsync = lambda _: None
    part_run._PAUSE_SECONDS = sharing._PAUSE_SECONDS = 0.01
    {"predict": predict, "encode": encode}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
