"""Pre-train the nano SAM on drawn scenes, and score it on unseen scenes."""

from dataclasses import dataclass
from pathlib import Path

import torch

from promise_seg.learning.pretraining import WEIGHTS_FILE, Pretrainer, PretrainSettings
from promise_seg.learning.pretraining import pretrain as train_to_the_end
from promise_seg.learning.scene_scores import score_on_scenes
from promise_seg.progress import Progress, silent
from promise_seg.sam.loading import load_sam
from promise_seg.sam.nano import IMAGE_SIZE
from promise_seg.scenes.library import SceneLibrary
from promise_seg.storage.files import write_json
from promise_seg.storage.locks import alone_in
from promise_seg.workflows.devices import pick_device


@dataclass(frozen=True)
class Pretrained:
    """The file of the weights, and the Dice on unseen scenes for each kind of prompts."""

    weights: Path
    scores: dict[str, float]


def pretrain(
    output: Path,
    settings: PretrainSettings,
    *,
    scene_folder: Path | None = None,
    unseen_scenes: int = 500,
    workers: int = 2,
    device: str | torch.device = "auto",
    progress: Progress = silent,
) -> Pretrained:
    """Train the nano SAM from scratch; an unfinished run in ``output`` is resumed.

    Args:
        output: folder for weights, state, log and ``scene_scores.json``.
        settings: settings of the training.
        scene_folder: the folder that scenes are stored in; by default a folder in the output.
        unseen_scenes: the number of scenes to score the result on.
        workers: the number of processes that draw scenes.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        progress: called for each scene and batch.

    Raises:
        SettingsError: if this machine has no such device.
        CheckpointError: if the run in ``output`` cannot be resumed.
    """
    place = pick_device(device)
    folder = scene_folder or output / "scenes"
    library = SceneLibrary(folder, settings.scenes, seed=2 * settings.seed, size=IMAGE_SIZE)
    unseen = SceneLibrary(folder, unseen_scenes, seed=2 * settings.seed + 1, size=IMAGE_SIZE)
    total, drawn = settings.scenes + unseen_scenes, 0

    def count(done: int) -> None:
        nonlocal drawn
        drawn += done
        progress("drawing", drawn, total)

    with alone_in(output, "training"):
        progress("drawing", 0, total)
        library.draw(workers, count)
        unseen.draw(workers, count)
        train_to_the_end(Pretrainer(output, settings, library, place), progress=progress)
        weights = output / WEIGHTS_FILE
        scores = score_on_scenes(load_sam(str(weights), place), unseen)
    write_json(output / "scene_scores.json", scores)
    return Pretrained(weights, scores)
