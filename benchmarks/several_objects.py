"""Drawn microscopy scenes with many cells in each, to compare auto-prompters where there are several objects.

    python -m benchmarks.several_objects -o runs/cells

Then, as with any data, for each kind and seed:

    promise train runs/cells/manifest.csv --variant apm --apm peaks --epochs 15 --views 2 --seed 0 -o runs/cells/peaks-0
    promise evaluate runs/cells/peaks-0 runs/cells/manifest.csv -o runs/cells/peaks-0/test
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from promise_seg.scenes import draw_scene
from promise_seg.storage.files import write_text, write_whole

COUNTS = {"train": 60, "val": 15, "test": 40}
SIDE = 128
STREAM = 99
"""Makes these scenes differ from those that the nano SAM was trained on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/cells"))
    parser.add_argument("--kind", default="cells", help="of scenes, see promise_seg.scenes.kinds")
    args = parser.parse_args()
    lines = ["image_name,train_type,mask_name"]
    for number, split in enumerate(split for split, count in COUNTS.items() for _ in range(count)):
        scene = draw_scene([STREAM, number], SIDE, kind=args.kind)
        mask = np.where(scene.instances > 0, 255, 0).astype(np.uint8)
        for name, pixels in ((f"{number}.png", scene.image), (f"{number}_mask.png", mask)):
            write_whole(args.output / name, Image.fromarray(pixels).save)
        lines.append(f"{number}.png,{split},{number}_mask.png")
    write_text(args.output / "manifest.csv", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
