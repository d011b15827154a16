"""How well promise plan foretells what predicting takes: time of the processor, disk and memory, in turns with runs.

    python -m benchmarks.fleet_plan --images 100 1000 --rounds 2
    python -m benchmarks.fleet_plan --images 100 1000 --rounds 2 --pictures ../shared/data/polyp/images
    python -m benchmarks.fleet_plan --images 10000 --rounds 1 --apm heatmap

The plan is made of times on eight drawn images, as ``promise bench`` measures them, but of the processor and not of the
clock, which on a busy machine goes on while others compute. Each run is the command with the nano SAM, on drawn images,
or on copies of pictures whose longer side is 320 px, as that of the drawn ones. Of as many different images as there
are, or a hundred that are drawn, each is there several times under other names. What the command takes for one image
alone, nearly all of it for starting, is printed first: no plan counts it. Plans and runs have processes of their own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

from accelerate import Accelerator
from PIL import Image

from promise_seg.checkpoint import save_checkpoint
from promise_seg.cli.common import quiet_libraries
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.features.store import FeatureStore
from promise_seg.learning.training import TrainingRun
from promise_seg.sam.loading import NANO, load_sam
from promise_seg.scenes import draw_scene
from promise_seg.vocabulary import Protocol
from promise_seg.workflows import timing
from promise_seg.workflows.fleet_plans import plan_fleet
from promise_seg.workflows.training_settings import settings_for

from .durability import write_data

_SIDE = 320  # of the drawn images of promise bench
_DRAWN = 100
_COMMAND = """
import atexit, pathlib, torch
from promise_seg.cli.console import run
from promise_seg.inference.planning import memory_bytes

told = pathlib.Path({told!r})
atexit.register(lambda: told.write_text(str(memory_bytes(torch.device("cpu")))))
run()
"""


@dataclass(frozen=True)
class Taken:
    """What a command took: seconds of the processor, bytes of its output on the disk, most bytes of memory."""

    seconds: float
    disk: int
    memory: int


def write_run(folder: Path, apm: str | None) -> Path:
    """Write a model as ``promise bench`` has it, whose parts were not trained: it takes as long as any other."""
    accelerator = Accelerator(cpu=True)
    sam = load_sam(NANO, accelerator.device)
    rows = check_rows(read_manifest(write_data(folder, 10)))
    settings = settings_for(Protocol.OWN, None, {"apm": apm, "views": 1})
    run = TrainingRun(folder / "training", rows, sam, FeatureStore(folder / "store"), settings, accelerator)
    save_checkpoint(run.model, folder / "run")
    return folder / "run"


def write_images(pictures: Path | None, folder: Path, count: int) -> Path:
    """Write so many small images under new names; return their folder."""
    found = [] if pictures is None else sorted(path for path in pictures.iterdir() if path.is_file())
    different = len(found) or _DRAWN
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number}.png"
        if number >= different:
            path.hardlink_to(folder / f"{number % different}.png")
        elif found:
            picture = Image.open(found[number]).convert("RGB")
            picture.thumbnail((_SIDE, _SIDE))
            picture.save(path)
        else:
            Image.fromarray(draw_scene([9, number], _SIDE, "mucosa").image).save(path)
    return folder


def measured(apm: str | None) -> timing.SpeedReport:
    """Return what ``promise bench`` measures, in time of the processor."""
    quiet_libraries()
    timing.time = SimpleNamespace(perf_counter=time.process_time)  # type: ignore[attr-defined]
    return timing.bench(apm=apm, images=8, clicks=1, device="cpu")


def predict(run: Path, images: Path, out: Path) -> Taken:
    """Predict a folder of images by the command."""
    told = out.with_suffix(".kB")
    code = _COMMAND.format(told=str(told))
    words = [sys.executable, "-c", code, "predict", str(run), str(images), "-o", str(out), "--device", "cpu"]
    said = out.with_suffix(".txt")
    with said.open("wb") as to, subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=to) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said.read_text(errors="replace")[-2000:]
    disk = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Taken(used.ru_utime + used.ru_stime, disk, int(told.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[100])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pictures", type=Path, help="folder of the images; without it, they are drawn")
    parser.add_argument("--apm", help="kind of auto-prompter; by default that of training")
    options = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = write_run(folder, options.apm)
        start = predict(run, write_images(options.pictures, folder / "one", 1), folder / "out")
        print(f"one image: {start.seconds:.1f} s, {start.memory / 1e6:.0f} MB of memory", flush=True)
        for count in options.images:
            images = write_images(options.pictures, folder / f"images-{count}", count)
            for turn in range(options.rounds):
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    plan = plan_fleet(pool.submit(measured, options.apm).result(), images=count)
                taken = predict(run, images, folder / f"out-{count}-{turn}")
                seconds = taken.seconds - start.seconds
                print(
                    f"{count:,} images, planned and measured: "
                    f"{plan.seconds:.1f} s, {seconds:.1f} s after the start ({seconds / plan.seconds:.2f}); "
                    f"{plan.disk_bytes / 1e6:.1f} MB, {taken.disk / 1e6:.1f} MB on the disk "
                    f"({taken.disk / plan.disk_bytes:.2f}); "
                    f"{(plan.memory_bytes or 0) / 1e6:.0f} MB, {taken.memory / 1e6:.0f} MB of memory",
                    flush=True,
                )


if __name__ == "__main__":
    main()
