"""The inputs of the commands: small data, a tiny SAM, a model trained on it, and two of its evaluations."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from matplotlib.figure import Figure
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.demo import dataset
from promise_seg.learning import object_sizes, pretraining
from promise_seg.scenes import library
from promise_seg.vocabulary import Split
from tests.helpers import disc_image, make_tiny_sam, write_dataset

TRAINING = ("--epochs", "1", "--views", "1", "--batch-size", "3", "--apm", "heatmap", "--device", "cpu")


SPEC = {
    "title": "Discs",
    "data": {"discs": {"manifest": "data/manifest.csv"}},
    "sams": [{"name": "tiny", "source": "sam"}],
    "models": {
        "bare": {"variant": "sam"},
        "shifted": {"variant": "ips"},
        "U-Net": {"variant": "unet", "epochs": 1},
    },
    "seeds": [0],
    "training": {"epochs": 1, "views": 1},
}


def make_commands_small() -> None:
    """Let SAM have its usual size, however small objects are, and let commands draw few scenes and tiny figures."""
    object_sizes.LEAST_SIZE = 0.0
    library.CHUNK = 2
    dataset.SIZES = {Split.TRAIN: 2, Split.VAL: 1, Split.TEST: 1}
    Figure.savefig = _save_tiny
    pretraining.pretrain.__kwdefaults__["save_every"] = 1  # so that there is something to resume
    torch.set_num_threads(1)


def _save_tiny(_figure: Figure, place, **how: object) -> None:
    if how.get("format") == "svg":
        place.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"></svg>')
    else:
        Image.new("L", (2, 2)).save(place, "PNG")


def make_inputs(folder: Path) -> None:
    """Make all inputs, each in a folder of its own.

    Raises:
        RuntimeError: if a command fails.
    """
    make_tiny_sam().model.save_pretrained(folder / "sam" / "sam")
    data = folder / "data"
    manifest = write_dataset(data / "data", ("train",) * 2 + ("val",) * 2 + ("test",) * 2)
    write_parts(folder / "pairs" / "pairs")
    _write_annotations(folder / "drawn" / "drawn")
    (folder / "spec").mkdir()
    (folder / "spec" / "spec.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    work = folder.parent / "work"  # where the commands will find all this, as files hold paths
    for name in ("sam", "data"):
        shutil.copytree(folder / name / name, work / name)
    manifest = work / "data" / "manifest.csv"
    store = ["--store", str(work / "store")]
    run = str(work / "run")
    _do("train", str(manifest), "--sam", str(work / "sam"), *TRAINING, *store, "-o", run)
    shutil.copytree(work / "run", folder / "run" / "run")
    _do("calibrate", run, str(manifest), *store)
    for seed in ("0", "1"):
        evaluated = ["evaluate", run, str(manifest), "--prompts", "oracle", "--seed", seed, *store]
        _do(*evaluated, "-o", str(work / f"scores{seed}"))
    _do("evaluate", run, str(manifest), *store, "-o", str(work / "own"))
    shifted = str(work / "shifted")
    _do("train", str(manifest), "--sam", str(work / "sam"), *TRAINING, *store, "--variant", "ips", "-o", shifted)
    _do("convert", shifted, "--to", "reference", "-o", str(work / "reference.pt"))
    _do("predict", run, str(work / "data" / "images"), "--part", "1/1", "-o", str(work / "parted"))
    for name in ("store", "scores0", "scores1", "shifted", "parted"):
        shutil.copytree(work / name, folder / name / name)
    (folder / "reference").mkdir()
    shutil.copy(work / "reference.pt", folder / "reference")
    shutil.rmtree(work)


def _do(*arguments: str) -> None:
    if code := main(arguments):
        raise RuntimeError(f"promise {' '.join(arguments)}: exit code {code}")


def write_parts(folder: Path) -> None:
    """Write images with two masks each, of single objects."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(2):
        image, mask = disc_image(number)
        Image.fromarray(image).save(folder / f"images/case{number}.png")
        for part, half in enumerate((mask & (np.arange(40) < 20), mask & (np.arange(40) >= 20))):
            Image.fromarray(half.astype(np.uint8) * 255).save(folder / f"masks/case{number}_{part}.png")


def _write_annotations(folder: Path) -> None:
    """Write two images with polygons in COCO's format."""
    folder.mkdir(parents=True)
    images, shapes = [], []
    for number in range(2):
        Image.fromarray(disc_image(number)[0]).save(folder / f"{number}.png")
        images.append({"id": number + 1, "file_name": f"{number}.png", "width": 40, "height": 30})
        polygon = [[5.0, 5.0, 25.0, 5.0, 25.0, 20.0 + number, 5.0, 20.0]]
        shapes.append(
            {"id": number + 1, "image_id": number + 1, "category_id": 1, "segmentation": polygon, "iscrowd": 0,
             "bbox": [5, 5, 20, 15], "area": 300}
        )  # fmt: skip
    document = {"images": images, "annotations": shapes, "categories": [{"id": 1, "name": "polyp"}]}
    (folder / "coco.json").write_text(json.dumps(document))
