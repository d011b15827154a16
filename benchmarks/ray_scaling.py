"""How much longer Ray takes than the plain loop with one worker, and how much faster two workers are than one.

    python -m benchmarks.ray_scaling --json ray.json

Drawn images are predicted with untrained models: around the nano SAM, and around one of the sizes of ViT-B with random
weights. All ways follow each other in turns, each in a process of its own, with one thread for each worker. What counts
is the time of an image, from when a fifth of them is done and all workers have begun, until the last; starting Ray and
loading the model are printed by themselves. So are the seconds of the processor in that time, of the process that gives
out the work, Ray and its workers together. Times on the clock mean something on a machine that has nothing else to do.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import ray
import torch
from PIL import Image

from promise_seg.checkpoint import SAM_BESIDE, save_checkpoint
from promise_seg.cli.common import quiet_libraries
from promise_seg.fleet.ray_cluster import RayFleet
from promise_seg.model import ModelConfig, PromiseModel
from promise_seg.prompting.building import make_apm_config
from promise_seg.sam.loading import NANO
from promise_seg.scenes import draw_scene
from promise_seg.vocabulary import ApmKind, Variant
from promise_seg.workflows.predicting import predict_folder

from .exported import SAMS

VIT_B = "vit-b"
LOOP, ONE, TWO = "plain loop", "Ray, 1 worker", "Ray, 2 workers"
WAYS = {LOOP: 0, ONE: 1, TWO: 2}
"""The ways, with the number of workers of each."""
BARS = {NANO: 1.25, VIT_B: 1.05}
LEAST_SPEEDUP = 1.8
SMALL = 0.05
"""The share of all time that the start of Ray is compared with."""


def write_model(name: str, folder: Path) -> Path:
    """Write a model with a SAM beside it."""
    torch.manual_seed(0)
    sam = SAMS[name]()
    config = ModelConfig(
        variant=Variant.APM_IPS, apm=make_apm_config(ApmKind.HEATMAP), sam=SAM_BESIDE, sam_sha256=sam.sha256,
        image_size=sam.image_size, promise_seg_version="0",
    )  # fmt: skip
    save_checkpoint(PromiseModel(config, sam), folder / name)
    return folder / name


def processor_seconds() -> float:
    """Of this process and all that it has started, which end later."""
    total = 0.0
    for one in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            total += sum(one.cpu_times()[:2])
        except psutil.Error:
            continue
    return total


def run_one(way: str, model: str, images: str, first: int) -> dict[str, float]:
    """Predict in this process; return the seconds of an image, those of the processor, and those of the start."""
    quiet_libraries()
    torch.set_num_threads(1)
    workers, at_work, give = WAYS[way], set[int](), RayFleet.give
    ticks: list[tuple[int, float, float]] = []  # the first one, the one from which it counts, and the last
    count = len(list(Path(images).iterdir()))

    def noted(fleet: RayFleet, worker: int, *bundle: Any) -> None:
        at_work.add(worker)  # as it has loaded the model
        give(fleet, worker, *bundle)

    def tick(stage: str, done: int, total: int, note: str = "") -> None:
        is_due = len(ticks) == 1 and done >= first and len(at_work) >= workers
        if stage == "predicting" and done and (not ticks or is_due or done == count):
            ticks.append((done, time.perf_counter(), processor_seconds()))

    RayFleet.give = noted  # type: ignore[method-assign]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        if way == LOOP:
            predict_folder(model, images, out, part="1/1", device="cpu", progress=tick)
        else:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, logging_level="error")
            predict_folder(model, images, out, ray="local", device="cpu", progress=tick)
            ray.shutdown()
    if len(ticks) < 3:
        raise SystemExit(f"{way}: {count} images were done before all workers had begun; give more images")
    (_, first_time, _), (before, start, start_cpu), (_, end, end_cpu) = ticks
    seconds = (end - start) / (count - before)
    return {
        "seconds": seconds, "processor_seconds": (end_cpu - start_cpu) / (count - before),
        "start_seconds": first_time - began - seconds,
    }  # fmt: skip


def in_own_process(way: str, model: Path, images: Path, first: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.ray_scaling", "--one", way, str(model), str(images), str(first)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=4, help="used by the benchmark itself")
    parser.add_argument("--images", type=int, default=200, help="with the nano SAM")
    parser.add_argument("--vit-b-images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.one:
        way, model, images, first = options.one
        print(json.dumps(run_one(way, model, images, int(first))))
        return
    quiet_libraries()
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory() as name:
        for sam, count in ((NANO, options.images), (VIT_B, options.vit_b_images)):
            if not count:
                continue
            folder = Path(name) / f"images-{sam}"
            folder.mkdir()
            for number in range(count):
                Image.fromarray(draw_scene([9, number], 320, "mucosa").image).save(folder / f"{number:05}.png")
            model, first = write_model(sam, Path(name)), max(1, count // 5)
            found[sam] = {way: [] for way in WAYS}
            for turn in range(options.rounds):
                for way in WAYS if turn % 2 == 0 else reversed(WAYS):
                    found[sam][way].append(in_own_process(way, model, folder, first))
                    print(sam, way, {key: round(value, 3) for key, value in found[sam][way][-1].items()}, flush=True)
    report(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def report(found: dict[str, dict[str, list[dict[str, float]]]]) -> None:
    """Print the ratios of ways, as medians over the rounds."""
    for sam, ways in found.items():
        middle = {
            way: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
            for way, rounds in ways.items()
        }
        for key in ("seconds", "processor_seconds"):
            ratio = middle[ONE][key] / middle[LOOP][key]
            print(f"{sam}: Ray with one worker takes {ratio:.3f} of the {key} of the plain loop; at most {BARS[sam]}")
        later = middle[ONE]["start_seconds"] - middle[LOOP]["start_seconds"]
        most = later / (SMALL * middle[LOOP]["seconds"])
        print(f"{sam}: the first image is done {later:.1f} s later; from {most:,.0f} images on, that is {SMALL:.0%}")
        ratio = middle[ONE]["seconds"] / middle[TWO]["seconds"]
        print(f"{sam}: two workers are {ratio:.2f} times as fast as one; at least {LEAST_SPEEDUP}")


if __name__ == "__main__":
    main()
