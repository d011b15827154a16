"""Images of nuclei pasted on a canvas of 2,048 px: does a model find small objects in large images?

    python -m benchmarks.nuclei_canvas ../shared/data/nuclei/manifest.csv -o runs/canvas

writes ``single.csv``, the images by themselves, and ``canvas.csv``, the same images of each split on canvases. Then,
for each seed, with the images by themselves, with tiles, and without:

    promise train runs/canvas/single.csv --instances --seed 0 -o runs/canvas/single-0
    promise evaluate runs/canvas/single-0 runs/canvas/single.csv -o runs/canvas/single-0/test
    promise train runs/canvas/canvas.csv --instances --tile auto --seed 0 -o runs/canvas/tiles-0
    promise evaluate runs/canvas/tiles-0 runs/canvas/canvas.csv -o runs/canvas/tiles-0/test
    promise train runs/canvas/canvas.csv --instances --seed 0 -o runs/canvas/whole-0
    promise evaluate runs/canvas/whole-0 runs/canvas/canvas.csv -o runs/canvas/whole-0/test

F1 is the mean over images, of which a canvas is one: with ``--canvas 600`` there are more of them. Images that are
larger than a canvas are cut. Masks are the instance maps in the folder ``instances`` next to the manifest.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from promise_seg.dataset.manifest import Row, read_manifest
from promise_seg.files import write_text, write_whole
from promise_seg.images.readers import read_image, read_labels
from promise_seg.vocabulary import Split

GAP = 8


def canvases(rows: Sequence[Row], instances: Path, side: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Paste images in rows from the top to the bottom, on as many canvases as it takes; objects are numbered anew."""
    done: list[tuple[np.ndarray, np.ndarray]] = []
    top = left = bottom = count = 0
    for row in rows:
        image = read_image(row.image)[:side, :side]
        labels = read_labels(instances / row.mask.name).astype(np.uint16)[:side, :side]
        height, width = labels.shape
        if left + width > side:
            top, left = bottom + GAP, 0
        if not done or top + height > side:
            done.append((np.full((side, side, 3), np.median(image), np.uint8), np.zeros((side, side), np.uint16)))
            top = left = bottom = count = 0
        canvas, numbers = done[-1]
        canvas[top : top + height, left : left + width] = image
        _, found = np.unique(np.append(0, labels), return_inverse=True)
        found = found[1:].reshape(labels.shape)
        numbers[top : top + height, left : left + width] = np.where(found, found + count, 0)
        count, bottom, left = count + int(found.max()), max(bottom, top + height), left + width + GAP
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/canvas"))
    parser.add_argument("--canvas", type=int, default=2048, help="side of a canvas, in pixels")
    args = parser.parse_args()
    instances, head = args.manifest.parent / "instances", "image_name,train_type,mask_name"
    rows, single, canvas = read_manifest(args.manifest), [head], [head]
    single += [
        f"{row.image.resolve()},{row.split},{(instances / row.mask.name).resolve()}" for row in rows
    ]  # fmt: skip
    for split in Split:
        of_split = [row for row in rows if row.split == split]
        for number, (image, labels) in enumerate(canvases(of_split, instances, args.canvas)):
            name = f"{split}{number}"
            for end, pixels in ((".png", image), ("_mask.png", labels)):
                write_whole(args.output / f"{name}{end}", Image.fromarray(pixels).save)
            canvas.append(f"{name}.png,{split},{name}_mask.png")
    write_text(args.output / "single.csv", "\n".join(single) + "\n")
    write_text(args.output / "canvas.csv", "\n".join(canvas) + "\n")


if __name__ == "__main__":
    main()
