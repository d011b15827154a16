"""Drawn anisotropic volumes cut across one axis, or across several whose probabilities are averaged.

    python -m benchmarks.volume_axes -o runs/volume-axes --seeds 0

For each seed, volumes are drawn and a model of one organ is trained on axial slices, as in ``benchmarks.volumes``. The
table has the mean 3-D Dice of val and test volumes, and the CPU seconds for a volume. With ``--ways each auto`` slices
also come together as is chosen on the val volumes, across the axial axis alone.
"""

import argparse
import json
import time
from pathlib import Path

import nibabel as nib
import numpy as np

import promise_seg
from benchmarks.volumes import COUNTS, draw
from promise_seg.assessment.volume_tuning import tune_volumes
from promise_seg.features.store import FeatureStore
from promise_seg.rules.volume_rule import rule_for
from promise_seg.storage.files import write_text
from promise_seg.vocabulary import Slices

AXES = {"axial": None, "axial, coronal": "axial,coronal", "all three": "axial,coronal,sagittal"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/volume-axes"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--volumes", type=int, nargs=3, default=[*COUNTS.values()], metavar=("TRAIN", "VAL", "TEST"))
    parser.add_argument("--apm", default="peaks", help="the auto-prompter")
    parser.add_argument("--ways", type=Slices, nargs="+", default=[Slices.EACH], help="how slices come together")
    args = parser.parse_args()
    found = []
    print("| seed | axes | slices | val | test | CPU seconds a volume |")
    print("| --- | --- | --- | --- | --- | --- |")
    for seed in args.seeds:
        folder = args.output / str(seed)
        manifest = draw(folder, seed, dict(zip(COUNTS, args.volumes, strict=True)))
        model = promise_seg.train(
            manifest,
            folder / "run",
            apm=args.apm,
            epochs=args.epochs,
            views=1,
            seed=seed,
            device="cpu",
            store=folder / "store",
        )
        data = promise_seg.Dataset.from_csv(manifest, like=model.reading)
        if Slices.AUTO in args.ways and (tuned := tune_volumes(model.model, data.val, FeatureStore(folder / "store"))):
            model.model.config = model.model.config.model_copy(update={"volumes": tuned.chosen})
        for way in args.ways:
            for name, axes in AXES.items():
                val, _ = score(model, data.val, axes, way)
                test, seconds = score(model, data.test, axes, way)
                words = rule_for(model.model.config.volumes, way).words
                print(f"| {seed} | {name} | {words} | {val:.3f} | {test:.3f} | {seconds:.2f} |", flush=True)
                found.append({"seed": seed, "axes": name, "slices": words, "val": val, "test": test, "cpu_s": seconds})
    write_text(args.output / "scores.json", json.dumps(found, indent=2))


def score(model: promise_seg.Model, rows: promise_seg.Dataset, axes: str | None, slices: Slices) -> tuple[float, float]:
    """Return the mean 3-D Dice of whole volumes, and the CPU seconds for each."""
    pairs = sorted({(row.row.image, row.row.mask) for row in rows})
    started, dice = time.process_time(), []
    for image, mask in pairs:
        found = model.predict_volume(image, axes=axes, slices=slices).mask
        truth = np.asarray(nib.load(mask).dataobj) > 0
        dice.append(2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth)))
    return float(np.mean(dice)), (time.process_time() - started) / len(pairs)


if __name__ == "__main__":
    main()
