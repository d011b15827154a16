"""Drawn anisotropic volumes of several orientations: slice by slice, blended, agreeing, each also cleaned in 3-D.

    python -m benchmarks.volumes -o runs/volumes --seeds 0 1 2

For each seed, volumes are drawn and a model of one organ is trained on the nano SAM. How slices are blended, how they
agree, and what is done in 3-D is chosen on the val volumes; the table has the mean 3-D Dice of the test volumes.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

import promise_seg
from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.assessment.volume_tuning import tune_volumes
from promise_seg.assessment.volumes import VolumeScorer
from promise_seg.features.store import FeatureStore
from promise_seg.model import PromiseModel
from promise_seg.rules.volume_rule import EACH_SLICE, VolumeRule
from promise_seg.scenes.bodies import ORGANS, draw_body
from promise_seg.storage.files import write_text, write_whole
from promise_seg.vocabulary import PromptSource, Slices

COUNTS = {"train": 12, "val": 6, "test": 12}
SPACING = (5.0, 1.5, 1.5)
STORED_AS = ("LPS", "PIL", "SLA")
"""The directions of the axes of the arrays in files, in turn; all are cut into axial slices when they are read."""
STREAM = 77
WAYS = {"slice by slice": Slices.EACH, "blended": Slices.BLEND, "agreeing": Slices.AGREE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/volumes"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=16)
    args = parser.parse_args()
    found = {seed: scores_of(args.output / str(seed), seed, args.epochs) for seed in args.seeds}
    write_text(args.output / "scores.json", json.dumps(found, indent=2))
    print("| slices | in 3-D | " + " | ".join(f"seed {seed}" for seed in found) + " | mean |")
    print("| --- " * (len(found) + 3) + "|")
    for name in next(iter(found.values())):
        way, cleaned = name.split(", ")
        values = [scores[name]["dice"] for scores in found.values()]
        cells = [f"{value:.3f}" for value in (*values, np.mean(values))]
        print(f"| {way} | {cleaned} | " + " | ".join(cells) + " |")


def scores_of(folder: Path, seed: int, epochs: int) -> dict[str, dict[str, object]]:
    """Return the mean 3-D Dice of test volumes, and the rule, by how slices come together."""
    manifest = draw(folder, seed)
    model = promise_seg.train(manifest, folder / "run", apm="peaks", epochs=epochs, views=1, seed=seed, device="cpu")
    data = promise_seg.Dataset.from_csv(manifest, like=model.reading)
    store, found = FeatureStore(folder / "store"), {}
    for name, way in WAYS.items():
        tuned = tune_volumes(model.model, data.val, store, ways=[way])
        rule = EACH_SLICE if tuned is None else tuned.chosen
        plain = rule.model_copy(update={"fill_holes": False, "least_mm3": 0.0, "keep": "all"})
        for words, one in (("nothing", plain), ("components", rule)):
            dice = score(model.model, data.test, store, one)
            found[f"{name}, {words}"] = {"dice": dice, "rule": one.words}
            print(f"seed {seed}: {name}, {words}: {dice:.4f} ({one.words})", flush=True)
    return found


def score(model: PromiseModel, rows: promise_seg.Dataset, store: FeatureStore, rule: VolumeRule) -> float:
    """Return the mean 3-D Dice of whole volumes."""
    model.config = model.config.model_copy(update={"volumes": rule})
    scorer = VolumeScorer(rows)
    evaluate(model, rows, Assessment(prompts=PromptSource.APM), store=store, keep=scorer.add)
    return float(np.mean([one.measures["dice"] for one in scorer.scores()]))


def draw(folder: Path, seed: int, counts: Mapping[str, int] = COUNTS) -> Path:
    """Write the volumes of a seed as NIfTI files, masks of one organ, and a manifest; return its path."""
    lines, organ = ["image_name,train_type,mask_name,group"], 1 + seed % ORGANS
    for number, split in enumerate(split for split, count in counts.items() for _ in range(count)):
        body = draw_body([STREAM, seed, number], spacing=SPACING)
        for name, array in (("image", body.values), ("mask", (body.labels == organ).astype(np.uint8))):
            image = stored(array, STORED_AS[number % len(STORED_AS)])
            write_whole(folder / f"{number}_{name}.nii.gz", lambda path, image=image: nib.save(image, path))
        lines.append(f"{number}_image.nii.gz,{split},{number}_mask.nii.gz,p{number}")
    write_text(folder / "manifest.csv", "\n".join(lines) + "\n")
    return folder / "manifest.csv"


def stored(array: np.ndarray, directions: str) -> nib.Nifti1Image:
    """Return slices (D, H, W), from foot to head, as an image whose axes have these directions."""
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])
    image = nib.Nifti1Image(np.ascontiguousarray(array.T), affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(directions))
    )
    return image.as_reoriented(turn)


if __name__ == "__main__":
    main()
