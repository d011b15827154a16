"""Images of nuclei pasted on a canvas of 2,048 px: does a model find small objects in large images?

    python -m benchmarks.nuclei_canvas make ../shared/data/nuclei/manifest.csv -o runs/canvas

writes ``single.csv``, the images by themselves, and ``canvas.csv``, the same images of each split on canvases. Then,
for each seed, with the images by themselves, with tiles, and without:

    promise train runs/canvas/single.csv --instances --seed 0 -o runs/canvas/single-0
    python -m benchmarks.nuclei_canvas score runs/canvas/single-0 runs/canvas/single.csv
    promise train runs/canvas/canvas.csv --instances --tile auto --seed 0 -o runs/canvas/tiles-0
    python -m benchmarks.nuclei_canvas score runs/canvas/tiles-0 runs/canvas/canvas.csv
    promise train runs/canvas/canvas.csv --instances --seed 0 -o runs/canvas/whole-0
    python -m benchmarks.nuclei_canvas score runs/canvas/whole-0 runs/canvas/canvas.csv

All scores are means over the pasted images, cut out of the canvas again, so that they can be compared with those of
the images by themselves: a mean over canvases would give images with many nuclei more weight. Images that are larger
than a canvas are cut. Masks are the instance maps in the folder ``instances`` next to the manifest.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import promise_seg
from promise_seg.assessment.objects import ObjectScores, score_instance_maps
from promise_seg.cli.common import quiet_libraries
from promise_seg.dataset.manifest import Row, read_manifest
from promise_seg.images.geometry import Box
from promise_seg.images.readers import read_image, read_labels
from promise_seg.storage.files import write_text, write_whole
from promise_seg.vocabulary import Split

GAP = 8
PLACES = "places.json"


@dataclass
class Canvas:
    """An image (S, S, 3) with its instance map (S, S), and the boxes of the images that it is made of."""

    image: np.ndarray
    labels: np.ndarray
    places: list[Box] = field(default_factory=list)


def canvases(rows: Sequence[Row], instances: Path, side: int) -> list[Canvas]:
    """Paste images in rows from the top to the bottom, on as many canvases as it takes; objects are numbered anew."""
    done: list[Canvas] = []
    top = left = bottom = count = 0
    for row in rows:
        image = read_image(row.image)[:side, :side]
        labels = read_labels(instances / row.mask.name).astype(np.uint16)[:side, :side]
        height, width = labels.shape
        if left + width > side:
            top, left = bottom + GAP, 0
        if not done or top + height > side:
            empty = np.full((side, side, 3), np.median(image), np.uint8), np.zeros((side, side), np.uint16)
            done.append(Canvas(*empty))
            top = left = bottom = count = 0
        box = Box(left, top, left + width, top + height)
        done[-1].image[top : box.bottom, left : box.right] = image
        _, found = np.unique(np.append(0, labels), return_inverse=True)
        found = found[1:].reshape(labels.shape)
        done[-1].labels[top : box.bottom, left : box.right] = np.where(found, found + count, 0)
        done[-1].places.append(box)
        count, bottom, left = count + int(found.max()), max(bottom, box.bottom), box.right + GAP
    return done


def make(manifest: Path, output: Path, side: int) -> None:
    """Write both manifests, the canvases, and where each image is on them."""
    instances, head = manifest.parent / "instances", "image_name,train_type,mask_name"
    rows, single, canvas = read_manifest(manifest), [head], [head]
    single += [
        f"{row.image.resolve()},{row.split},{(instances / row.mask.name).resolve()}" for row in rows
    ]  # fmt: skip
    places = {}
    for split in Split:
        of_split = [row for row in rows if row.split == split]
        for number, one in enumerate(canvases(of_split, instances, side)):
            name = f"{split}{number}"
            for end, pixels in ((".png", one.image), ("_mask.png", one.labels)):
                write_whole(output / f"{name}{end}", Image.fromarray(pixels).save)
            places[f"{name}.png"] = [(box.left, box.top, box.right, box.bottom) for box in one.places]
            canvas.append(f"{name}.png,{split},{name}_mask.png")
    write_text(output / "single.csv", "\n".join(single) + "\n")
    write_text(output / "canvas.csv", "\n".join(canvas) + "\n")
    write_text(output / PLACES, json.dumps(places))


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    """Return the Dice of two masks (H, W) bool, of which the second is not empty."""
    return 2 * float((mask & truth).sum()) / int(mask.sum() + truth.sum())


def score(model: Path, manifest: Path) -> None:
    """Print the means over the images of the test rows, and over the images that are pasted on their canvases."""
    quiet_libraries()
    loaded, places = promise_seg.load(model), json.loads((manifest.parent / PLACES).read_text(encoding="utf-8"))
    assert isinstance(loaded, promise_seg.Model)
    scores: list[ObjectScores] = []
    unions: list[float] = []
    masks: list[float] = []
    for row in read_manifest(manifest):
        if row.split != Split.TEST:
            continue
        found, truth = loaded.predict_instances(row.image).labels, read_labels(row.mask)
        mask = loaded.predict(row.image).mask
        height, width = truth.shape
        for left, top, right, bottom in places.get(row.image.name, [(0, 0, width, height)]):
            part = slice(top, bottom), slice(left, right)
            scores.append(score_instance_maps(found[part].astype(np.int64), truth[part].astype(np.int64)))
            unions.append(dice(found[part] > 0, truth[part] > 0))
            masks.append(dice(mask[part], truth[part] > 0))
    means = {
        "F1": np.mean([one.f1_at(0.5) for one in scores]),
        "AP50": np.mean([one.average_precision_50 for one in scores]),
        "count error": np.mean([one.count_error for one in scores]),
        "union": np.mean(unions),
        "Dice of the mask of all nuclei": np.mean(masks),
    }
    print(f"{len(scores)} images: " + ", ".join(f"{name} {value:.3f}" for name, value in means.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    maker, scorer = commands.add_parser("make"), commands.add_parser("score")
    maker.add_argument("manifest", type=Path)
    maker.add_argument("-o", "--output", type=Path, default=Path("runs/canvas"))
    maker.add_argument("--canvas", type=int, default=2048, help="side of a canvas, in pixels")
    scorer.add_argument("model", type=Path)
    scorer.add_argument("manifest", type=Path, help="single.csv or canvas.csv")
    args = parser.parse_args()
    if args.command == "make":
        make(args.manifest, args.output, args.canvas)
    else:
        score(args.model, args.manifest)


if __name__ == "__main__":
    main()
