"""How much of an epoch's time stored features save, at ViT-B sizes and with random weights, measured side by side.

    python -m benchmarks.stored_features

Both epochs run the same training step on the same images; in one the features come from the store, in the other from
the encoder. They alternate, so that whatever else the machine does falls on both.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from transformers import SamConfig, SamModel

from promise_seg.cli.common import quiet_libraries
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.features.store import FeatureStore
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training import TrainingRun
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.nano import initialise
from promise_seg.scenes import draw_scene

KINDS = (("ips", "heatmap"), ("apm+ips", "heatmap"), ("apm+ips", "resnet"))


class NoStore(FeatureStore):
    """A store that keeps nothing: every epoch encodes every image again."""

    def get(self, key, stages=None):
        return None

    def put(self, key, features):
        pass


def write_data(folder: Path, images: int) -> Path:
    lines = ["image_name,train_type,mask_name"]
    for i in range(images + 1):
        scene = draw_scene([3, i], 256, "mucosa")
        Image.fromarray(scene.image).save(folder / f"{i}.png")
        Image.fromarray(np.where(scene.instances > 0, 255, 0).astype(np.uint8)).save(folder / f"{i}m.png")
        lines.append(f"{i}.png,{'val' if i == images else 'train'},{i}m.png")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    quiet_libraries()
    torch.manual_seed(0)
    model = SamModel(SamConfig())
    initialise(model)
    sam = FrozenSam(model, "random ViT-B")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = check_rows(read_manifest(write_data(folder, args.images)))
        stores = {"stored": FeatureStore(folder / "store"), "encoder in the loop": NoStore(folder / "none")}
        for variant, apm in KINDS:
            settings = make_settings(
                variant=variant, apm=apm, batch_size=2, views=1, epochs=100,
                shifts=1, given_prompts="points", learns_quality=False,  # as when the times in docs were measured
            )  # fmt: skip
            runs = {}
            for kind, store in stores.items():
                runs[kind] = TrainingRun(folder / "run", rows, sam, store, settings, Accelerator(cpu=True))
            runs["stored"].encode()
            seconds = {kind: [] for kind in runs}
            runs["stored"].train_epoch()  # warm up
            for _ in range(args.rounds):
                for kind, run in runs.items():
                    started = time.perf_counter()
                    run.train_epoch()
                    seconds[kind].append(time.perf_counter() - started)
            stored, looped = (min(seconds[kind]) for kind in ("stored", "encoder in the loop"))
            print(
                f"{variant:8} {apm:8} epoch of {args.images} images: {stored:6.2f} s on stored features, "
                f"{looped:6.2f} s with the encoder in the loop, ratio {stored / looped:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
