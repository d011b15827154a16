"""A small data set of drawn endoscopy scenes, with files and a manifest like a user's own data."""

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from promise_seg.files import write_text, write_whole
from promise_seg.progress import Progress, Stage, silent
from promise_seg.scenes import draw_scene
from promise_seg.vocabulary import Split

SIZES = {Split.TRAIN: 160, Split.VAL: 40, Split.TEST: 60}
_SIDE = 192
_STREAM = 77  # makes these scenes differ from those that the nano SAM was trained on


def draw_dataset(folder: Path, progress: Progress = silent) -> Path:
    """Draw images, each with all growths as one mask, unless they exist; return the path of the manifest."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image_name", "train_type", "mask_name"])
    number = 0
    drawn = Stage(progress, "drawing", sum(SIZES.values()))
    for split, count in SIZES.items():
        for _ in range(count):
            image_name, mask_name = f"images/{number:04d}.png", f"masks/{number:04d}.png"
            if not (folder / mask_name).exists():
                scene = draw_scene([_STREAM, number], _SIDE, kind="mucosa")
                mask = np.where(scene.instances > 0, 255, 0).astype(np.uint8)
                for name, pixels in ((image_name, scene.image), (mask_name, mask)):
                    picture = Image.fromarray(pixels)
                    write_whole(folder / name, picture.save)
            writer.writerow([image_name, split, mask_name])
            number += 1
            drawn()
    manifest = folder / "manifest.csv"
    write_text(manifest, text.getvalue())
    return manifest
