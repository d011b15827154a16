"""Own files of every kind: a run, one that was interrupted, evaluations, predictions, a benchmark, a pre-training."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.learning import object_sizes
from promise_seg.learning.training import TrainingRun
from promise_seg.scenes import library
from tests.helpers import disc_image, make_tiny_sam, write_dataset

_TRAINING = "--views 1 --batch-size 3 --apm heatmap --device cpu --sam {w}/sam --store {w}/store"
TRAIN = f"train {{w}}/data/manifest.csv {_TRAINING} --epochs 1 -o {{w}}/run"
TRAIN_NEW = f"train {{w}}/data/manifest.csv {_TRAINING} --epochs 1 -o {{w}}/new"
TRAIN_TWICE = TRAIN_NEW.replace("--epochs 1", "--epochs 2")
TRAIN_ON = f"train {{w}}/data/manifest.csv {_TRAINING} --epochs 2 -o {{w}}/begun"
PREDICT = "predict {w}/run {w}/data/images -o {w}/predicted"
EVALUATE = "evaluate {w}/run {w}/data/manifest.csv --store {w}/store -o {w}/scores"
COMPARE = "compare {w}/scores0 {w}/scores1 -o {w}/compared.json"
BENCHMARK = "benchmark {w}/spec.yaml --store {w}/store --device cpu -o {w}/results"
PRETRAIN = "pretrain --steps 2 --batch-size 2 --scenes 2 --evaluate-scenes 2 --workers 1 --device cpu -o {w}/pretrained"
PREDICT_CLASSES = "predict {w}/classes {w}/labels -o {w}/labelled"
_CALIBRATE = "calibrate {w}/run {w}/data/manifest.csv --store {w}/store"
_TRAIN_CLASSES = f"train {{w}}/labels.csv {_TRAINING} --epochs 1 --class all -o {{w}}/classes"
_SPEC = {
    "title": "Discs",
    "data": {"discs": {"manifest": "data/manifest.csv"}},
    "sams": [{"name": "tiny", "source": "sam"}],
    "models": {
        "shifted": {"variant": "ips"},
        "U-Net": {"variant": "unet", "epochs": 1},
        "mean": {"variant": "mean-mask"},
    },
    "seeds": [0],
    "training": {"epochs": 1, "views": 1},
}  # fmt: skip


def arguments(words: str, work: Path) -> list[str]:
    """Return the words of a command, with the folder ``{w}`` in which it works."""
    return [word.replace("{w}", str(work)) for word in words.split()]


def make_commands_small() -> None:
    """Let SAM have its usual size, however small objects are, and draw little for the nano SAM."""
    object_sizes.LEAST_SIZE = 0.0
    library.CHUNK = 2
    torch.set_num_threads(1)


def make_inputs(work: Path) -> None:
    """Make all inputs.

    Raises:
        RuntimeError: if a command fails.
    """
    make_commands_small()
    time.process_time = float  # 0, as in the trials: what is measured is the same each time
    make_tiny_sam().model.save_pretrained(work / "sam")
    write_dataset(work / "data", ("train",) * 3 + ("val",) * 4 + ("test",) * 2)
    _write_labels(work)
    _write_parts(work)
    (work / "spec.yaml").write_text(yaml.safe_dump(_SPEC, sort_keys=False))
    for words in (TRAIN, _CALIBRATE, PREDICT):
        _do(words, work)
    for seed in (0, 1):
        _do(EVALUATE.replace("/scores", f"/scores{seed} --prompts oracle --seed {seed}"), work)
    _interrupt(work)
    for words in (_TRAIN_CLASSES, BENCHMARK, PRETRAIN):
        _do(words, work)


def _do(words: str, work: Path) -> None:
    if code := main(arguments(words, work)):
        raise RuntimeError(f"promise {words}: exit code {code}")


class _EndOfEpoch(BaseException):
    """Ends a training between two epochs."""


def _interrupt(work: Path) -> None:
    """Train for two epochs, and stop after the first."""

    def ending(trainer: TrainingRun, *others: object) -> None:
        write(trainer, *others)
        raise _EndOfEpoch

    write = TrainingRun._write
    TrainingRun._write = ending
    try:
        with pytest.raises(_EndOfEpoch):
            main(arguments(TRAIN_ON, work))
    finally:
        TrainingRun._write = write


def _write_parts(work: Path) -> None:
    """Write two images into each of four folders."""
    for number in range(8):
        path = work / f"parts/{number % 4}/image{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(disc_image(20 + number)[0]).save(path)


def _write_labels(work: Path) -> None:
    """Write images whose masks have two classes."""
    (work / "labels").mkdir()
    (work / "label-masks").mkdir()
    lines = ["image_name,train_type,mask_name"]
    for number, split in enumerate(("train", "train", "val")):
        image, mask = disc_image(number)
        halves = np.where(mask, np.where(np.arange(40) < 20, 1, 2), 0)
        Image.fromarray(image).save(work / f"labels/{number}.png")
        Image.fromarray(halves.astype(np.uint8)).save(work / f"label-masks/{number}.png")
        lines.append(f"labels/{number}.png,{split},label-masks/{number}.png")
    (work / "labels.csv").write_text("\n".join(lines) + "\n")
