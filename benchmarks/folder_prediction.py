"""How long promise predict takes beside the arithmetic alone, and how much memory, measured in turns in one process.

    python -m benchmarks.folder_prediction runs/polyp images/ --images 200 --rounds 3
    python -m benchmarks.folder_prediction runs/polyp images/ --images 2000 --without-arithmetic

The arithmetic is what the model computes of the same images, already read: encoding, decoding, trust and what makes
masks of logits. The images are named in turn, under links with other names. Without arithmetic, every mask is empty at
once, which shows what memory the rest takes, and how the time grows.
"""

import argparse
import resource
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from promise_seg.cli.common import quiet_libraries
from promise_seg.images.exports.inputs import Input, find_inputs
from promise_seg.images.framing import ImageInFrame
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelled import LabelledSlice
from promise_seg.prediction.labelling import Labeller
from promise_seg.workflows.predicting import load_labeller

CHUNK = 16
"""How many images are held to measure the arithmetic."""


def linked(images: list[Input], count: int, folder: Path) -> list[Input]:
    folder.mkdir()
    for number in range(count):
        path = images[number % len(images)].path
        (folder / f"{number:06}{path.suffix}").symlink_to(path.resolve())
    return find_inputs([folder])


def arithmetic_seconds(labeller: Labeller, inputs: list[Input]) -> float:
    seconds = 0.0
    for start in range(0, len(inputs), CHUNK):
        sources = [one.open(labeller.reading.axis) for one in inputs[start : start + CHUNK]]
        frames = [labeller.frame(labeller.reading.opened(source), 0) for source in sources]
        started = time.perf_counter()
        for framed in frames:
            labeller.label_framed(framed)
        seconds += time.perf_counter() - started
    return seconds


def empty_labels(labeller: Labeller, framed: ImageInFrame) -> LabelledSlice:
    known = empty_labels.origins  # of the first image
    return LabelledSlice(np.zeros(framed.rgb.shape[:2], np.uint16), {n: replace(one) for n, one in known.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("images", type=Path)
    parser.add_argument("--images", dest="count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-arithmetic", action="store_true")
    args = parser.parse_args()
    quiet_libraries()
    labeller = load_labeller(args.model, device="cpu")
    with tempfile.TemporaryDirectory() as name:
        inputs = linked(find_inputs([args.images]), args.count, Path(name) / "images")
        if args.without_arithmetic:
            first = inputs[0].open(labeller.reading.axis)
            empty_labels.origins = labeller.label(labeller.reading.opened(first)).slices[0].origins
            Labeller.label_framed = empty_labels
            args.rounds = 1
        ratios = []
        for number in range(args.rounds):
            alone = arithmetic_seconds(labeller, inputs)
            started = time.perf_counter()
            predict_folder(labeller, inputs, Path(name) / f"out{number}")
            whole = time.perf_counter() - started
            ratios.append(whole / alone)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{args.count} images: {whole:.1f} s, arithmetic alone {alone:.1f} s, ratio {ratios[-1]:.3f}; "
                f"{1000 * whole / args.count:.1f} ms an image; at most {memory:.0f} MB",
                flush=True,
            )
        print(f"median of the ratios {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
