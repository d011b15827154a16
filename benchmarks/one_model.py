"""Three organs of drawn volumes: one model for all of them beside a model for each.

    python -m benchmarks.one_model -o runs/one-model --seeds 0

For each seed, volumes are drawn, and both are trained on the nano SAM with the same settings but for the epochs: one
model goes through the train rows more often, which together is about the work of three models. The table has the mean
3-D Dice of the val volumes that the best models reached (of slices with --by-slices), the mean 3-D Dice of the test
volumes over the organs, the same where masks and shares of the map are chosen the other way in the same epoch (by
slices, or by volumes with --by-slices), the trained parameters, and the CPU seconds of training; and, for predicting
label maps of the test volumes, how often SAM's encoder and the auto-prompter's backbone ran for each slice, and the CPU
seconds. "Loaded one by one" is what three models in folders of their own take.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

import promise_seg
from benchmarks.volumes import SPACING, STORED_AS, STREAM, stored
from promise_seg.features.store import FeatureStore
from promise_seg.images.formats.opening import open_source
from promise_seg.learning.settings import PRESETS, make_settings
from promise_seg.learning.validation import validate
from promise_seg.scenes.bodies import draw_body
from promise_seg.storage.files import write_text, write_whole
from promise_seg.vocabulary import Protocol
from promise_seg.workflows.models import AnyModel, ClassModels

NAMES = {"one": "one model", "set": "a model for each", "alone": "a model for each, loaded one by one"}
COLUMNS = {
    "epochs": "d", "val": ".3f", "dice": ".3f", "other_dice": ".3f", "parameters": ",d", "training_cpu_s": ".0f",
    "encoder": ".1f", "backbone": ".1f", "predicting_cpu_s": ".1f",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/one-model"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12, help="of a model for each")
    parser.add_argument("--one-epochs", type=int, default=30, help="of one model, about as much work as three models")
    parser.add_argument("--side", type=int, default=64, help="of the images that the auto-prompter sees")
    parser.add_argument("--volumes", type=int, nargs=3, default=[6, 2, 3], metavar=("TRAIN", "VAL", "TEST"))
    parser.add_argument(
        "--by-slices", action="store_true", help="choose epochs, masks and shares by the Dice of slices, as before"
    )
    args = parser.parse_args()
    PRESETS[Protocol.OWN]["scores_volumes"] = not args.by_slices
    print("| seed | " + " | ".join(["", *COLUMNS]) + " |")
    print("| --- " * (len(COLUMNS) + 2) + "|")
    found: dict[int, dict[str, Any]] = {}
    for seed in args.seeds:
        folder = args.output / str(seed)
        data = promise_seg.Dataset.from_csv(draw(folder, seed, args.volumes), classes="all")
        found[seed] = {}
        for name, facts in facts_of(data, folder, seed, args):
            found[seed][name] = facts
            cells = [format(facts[column], form) for column, form in COLUMNS.items()]
            print(f"| {seed} | {NAMES[name]} | " + " | ".join(cells) + " |", flush=True)
    write_text(args.output / "facts.json", json.dumps(found, indent=2))


def facts_of(
    data: promise_seg.Dataset, folder: Path, seed: int, args: argparse.Namespace
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Train both, and return what they reach and take, by their names."""
    paths = sorted({row.row.image for row in data.test})
    for name, epochs in (("one", args.one_epochs), ("set", args.epochs)):
        started = time.process_time()
        models = promise_seg.train(
            data, folder / name, one_model=name == "one", apm="pretrained", batch_size=4, augmentation="grey", views=1,
            seed=seed, device="cpu", store=folder / f"store-{name}", epochs=epochs, apm_side=args.side,
        )  # fmt: skip
        spent = time.process_time() - started
        scores = promise_seg.evaluate(models, data, store=folder / f"store-{name}", device="cpu")
        dice = {label: one.summary.volumes.mean["dice"] for label, one in scores.items()}
        facts = {
            "dice": float(np.mean(list(dice.values()))), "dice_of": dice, "parameters": parameters(models),
            "val": best_val(folder / name), "epochs": epochs, "training_cpu_s": spent,
        }  # fmt: skip
        facts["other_dice"] = chosen_otherwise(models, data, folder, name, by_slices=not args.by_slices)
        yield name, facts | predicting([promise_seg.load(folder / name, device="cpu")], paths)
    alone = [promise_seg.load(folder / f"set/class-{number}", device="cpu") for number in data.classes]
    yield "alone", facts | predicting(alone, paths)


def chosen_otherwise(models: ClassModels, data: promise_seg.Dataset, folder: Path, name: str, by_slices: bool) -> float:
    """Return the mean 3-D Dice of the test volumes where masks and shares are chosen otherwise, in the same epoch."""
    store, before = FeatureStore(folder / f"store-{name}"), {label: one.model.config for label, one in models.items()}
    for label, one in models.items():
        settings = make_settings(scores_volumes=not by_slices)
        found = validate(one.model, [row.of_class(label) for row in data.val], store, settings)
        choices = {"mask_choice": found.mask_choice, "map_share": found.map_share}
        one.model.config = one.model.config.model_copy(update=choices)
    scores = promise_seg.evaluate(models, data, store=store, device="cpu")
    for label, one in models.items():
        one.model.config = before[label]
    return float(np.mean([one.summary.volumes.mean["dice"] for one in scores.values()]))


def best_val(folder: Path) -> float:
    """Return the mean over the classes of the Dice on val rows that their best models reached."""
    whole = folder / "log.jsonl"  # of one model, whose classes have their best epoch together
    paths = [whole] if whole.exists() else folder.glob("class-*/log.jsonl")
    logs = [path.read_text("utf-8").splitlines() for path in paths]
    reached = [[one["val_dice"] for one in map(json.loads, lines) if "val_dice" in one] for lines in logs]
    return float(np.mean([max(values) for values in reached]))


def label(models: ClassModels | promise_seg.Model, path: Path) -> None:
    """Make the label map of a volume."""
    models.labeller().label(open_source(path, models.reading.axis))


def predicting(models: Sequence[AnyModel], paths: list[Path]) -> dict[str, float]:
    """Return how often parts of models run for a slice, and the CPU seconds for label maps of all volumes."""
    counts = Counter[str]()
    alone = [one for some in models for one in (some.values() if isinstance(some, ClassModels) else [some])]
    for sam in {id(one.sam): one.sam for one in alone}.values():
        sam.encode = counted(sam.encode, counts, "encoder")
    for backbone in {id(one): one for one in (model.model.apm.backbone for model in alone)}.values():
        backbone.forward = counted(backbone.forward, counts, "backbone")
    started = time.process_time()
    for path in paths:
        for some in models:
            label(some, path)
    spent = time.process_time() - started
    slices = sum(len(open_source(path, models[0].reading.axis)) for path in paths)
    return {name: counts[name] / slices for name in ("encoder", "backbone")} | {"predicting_cpu_s": spent}


def counted(work: Callable[..., Any], counts: Counter[str], name: str) -> Callable[..., Any]:
    """Return the same work, which counts how often it is done."""

    def count(*args: Any, **options: Any) -> Any:
        counts[name] += 1
        return work(*args, **options)

    return count


def parameters(models: ClassModels) -> int:
    """Return how many parameters of all models together are trained, each counted once."""
    found = {id(one): one.numel() for model in models.values() for one in model.model.trainable_parameters().values()}
    return sum(found.values())


def draw(folder: Path, seed: int, counts: list[int]) -> Path:
    """Write volumes as NIfTI files, label maps of the three organs, and a manifest; return its path."""
    lines, splits = ["image_name,train_type,mask_name,group"], zip(("train", "val", "test"), counts, strict=True)
    for number, split in enumerate(split for split, count in splits for _ in range(count)):
        body = draw_body([STREAM, seed, number], spacing=SPACING)
        for name, array in (("image", body.values), ("mask", body.labels)):
            image = stored(array, STORED_AS[number % len(STORED_AS)])
            write_whole(folder / f"{number}_{name}.nii.gz", lambda path, image=image: nib.save(image, path))
        lines.append(f"{number}_image.nii.gz,{split},{number}_mask.nii.gz,p{number}")
    write_text(folder / "manifest.csv", "\n".join(lines) + "\n")
    return folder / "manifest.csv"


if __name__ == "__main__":
    main()
