"""How well promise plan foretells what predicting takes: plans and runs in turns, in one process.

    python -m benchmarks.fleet_plan --images 100 300 --rounds 2

Each run predicts drawn images with the nano SAM into a new folder. The plan is made of times on eight other images that
were measured just before.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from accelerate import Accelerator
from PIL import Image

from promise_seg.cli.common import quiet_libraries
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.features.store import FeatureStore
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.training import TrainingRun
from promise_seg.parts import Part
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.merging import merge_parts
from promise_seg.prediction.part_run import predict_part
from promise_seg.prediction.predictor import Predictor
from promise_seg.sam.loading import NANO, load_sam
from promise_seg.scenes import draw_scene
from promise_seg.workflows.fleet_plans import plan_fleet
from promise_seg.workflows.timing import bench

from .durability import write_data


def labeller_in(folder: Path) -> Labeller:
    """A model whose parts were drawn and not trained: it takes as long as any other."""
    accelerator = Accelerator(cpu=True)
    sam = load_sam(NANO, accelerator.device)
    rows = check_rows(read_manifest(write_data(folder, 10)))
    run = TrainingRun(folder / "run", rows, sam, FeatureStore(folder / "store"), TrainSettings(), accelerator)
    return Labeller({1: Predictor(run.model)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[100])
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labeller = labeller_in(folder)
        (folder / "images").mkdir()
        for number in range(max(options.images)):
            Image.fromarray(draw_scene([9, number], 320, "mucosa").image).save(folder / f"images/{number}.png")
        for count in options.images:
            ratios = []
            for turn in range(options.rounds):
                plan = plan_fleet(bench(images=8, clicks=1, device="cpu"), images=count)
                inputs = find_inputs([folder / f"images/{number}.png" for number in range(count)])
                started = time.perf_counter()
                predict_part(labeller, inputs, folder / f"out-{count}-{turn}", part=Part(1, 1))
                merge_parts(folder / f"out-{count}-{turn}")
                seconds = time.perf_counter() - started
                ratios.append(seconds / plan.seconds)
                print(f"{count} images: planned {plan.seconds:.1f} s, took {seconds:.1f} s", flush=True)
            print(f"{count} images: {statistics.median(ratios):.2f} of the plan", flush=True)


if __name__ == "__main__":
    main()
