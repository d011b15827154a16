"""What it costs to bring files to the disk and to hash tensors, beside doing neither, measured side by side.

    python -m benchmarks.durability

The same work is done with and without, in turns, so that whatever else the machine does falls on both: whole epochs of
training with the nano SAM, checkpoints and state included, and predictions of the same images into new folders. A busy
machine moves both by more than they differ; so the time inside the calls that sync and hash is added up too, as a share
of the work that makes them.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from accelerate import Accelerator
from PIL import Image

from promise_seg.cli.common import quiet_libraries
from promise_seg.dataset.checks import CheckedRow, check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.features.store import FeatureStore
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training import TrainingRun
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import load_sam
from promise_seg.scenes import draw_scene
from promise_seg.storage import tensor_files
from promise_seg.vocabulary import ApmKind

KINDS = (ApmKind.HEATMAP, ApmKind.PRETRAINED)


@contextlib.contextmanager
def neither() -> Iterator[None]:
    """Nothing is synced, and nothing hashed."""
    with mock.patch.object(os, "fsync"), mock.patch.object(tensor_files, "content_sha256", return_value=""):
        yield


@contextlib.contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Add up the seconds that pass in calls that sync, and in those that hash."""
    seconds = {"syncing": 0.0, "hashing": 0.0}

    def watched(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def work(*args: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args)
            finally:
                seconds[name] += time.perf_counter() - started

        return work

    with (
        mock.patch.object(os, "fsync", watched(os.fsync, "syncing")),
        mock.patch.object(tensor_files, "content_sha256", watched(tensor_files.content_sha256, "hashing")),
    ):
        yield seconds


def write_data(folder: Path, images: int) -> Path:
    lines = ["image_name,train_type,mask_name"]
    for number in range(images):
        scene = draw_scene([3, number], 256, "mucosa")
        Image.fromarray(scene.image).save(folder / f"{number}.png")
        Image.fromarray(np.where(scene.instances > 0, 255, 0).astype(np.uint8)).save(folder / f"{number}m.png")
        lines.append(f"{number}.png,{'val' if number < images // 5 else 'train'},{number}m.png")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


class Seconds(NamedTuple):
    """The time that some work took: by the clock, and of processors, in the program and in the system for it."""

    clock: float
    processors: float


def seconds_of(work: Callable[[], object]) -> Seconds:
    started, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    return Seconds(time.perf_counter() - started, after.user + after.system - before.user - before.system)


def print_ratios(what: str, with_both: list[Seconds], without: list[Seconds]) -> None:
    for kind in Seconds._fields:
        pairs = [(getattr(one, kind), getattr(other, kind)) for one, other in zip(with_both, without, strict=True)]
        ratios = sorted(one / other for one, other in pairs)
        mine, theirs = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
        print(
            f"{what}, {kind}: {mine:.2f} s with, {theirs:.2f} s without; ratio {statistics.median(ratios):.3f}, "
            f"between {ratios[0]:.3f} and {ratios[-1]:.3f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    quiet_libraries()
    sam = load_sam("nano")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        rows = check_rows(read_manifest(write_data(folder / "data", args.images)))
        for apm in KINDS:
            measure_training(apm, rows, sam, folder / apm, args.rounds)
            measure_predictions(apm, rows, sam, folder / apm, args.rounds)


def measure(what: str, work: Callable[[Path], object], folder: Path, rounds: int) -> None:
    """Do work in new folders, with and without in turns."""
    both, none, shares = [], [], []
    for number in range(rounds):
        for is_with in (number % 2 == 0, number % 2 == 1):  # each is the first as often as the other
            if is_with:
                with timed() as seconds:
                    both.append(seconds_of(partial(work, folder / f"with-{number}")))
                shares.append({name: spent / both[-1].clock for name, spent in seconds.items()})
            else:
                with neither():
                    none.append(seconds_of(partial(work, folder / f"without-{number}")))
    print_ratios(what, both, none)
    for name in shares[0]:
        of_each = sorted(share[name] for share in shares)
        print(
            f"{what}, inside the calls, {name}: {statistics.median(of_each):.2%} of the time, "
            f"between {of_each[0]:.2%} and {of_each[-1]:.2%}",
            flush=True,
        )


def train(rows: list[CheckedRow], sam: Backbone, apm: ApmKind, folder: Path) -> TrainingRun:
    """Train one epoch on features that are stored, in a run that checks each of them as it reads it first."""
    settings = make_settings(apm=apm, batch_size=8, views=1, epochs=1)
    store = FeatureStore(folder.with_name(f"store-{folder.name.partition('-')[0]}"))  # hashes of one are no others
    run = TrainingRun(folder, rows, sam, store, settings, Accelerator(cpu=True))
    run.encode()
    run.run()
    return run


def measure_training(apm: ApmKind, rows: list[CheckedRow], sam: Backbone, folder: Path, rounds: int) -> None:
    train(rows, sam, apm, folder / "with-first")
    with neither():
        train(rows, sam, apm, folder / "without-first")
    measure(f"an epoch with {apm}", partial(train, rows, sam, apm), folder, rounds)


def measure_predictions(apm: ApmKind, rows: list[CheckedRow], sam: Backbone, folder: Path, rounds: int) -> None:
    labeller = Labeller({1: Predictor(train(rows, sam, apm, folder / "with-model").model.eval())})
    inputs = find_inputs([row.row.image for row in rows])
    what = f"{len(inputs)} predictions with {apm}"
    measure(what, lambda place: predict_folder(labeller, inputs, place), folder / "predictions", rounds)


if __name__ == "__main__":
    main()
