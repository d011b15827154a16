"""Dice of a nano SAM on drawn scenes that its training never used: 1 point, 16 points, a box.

    python -m benchmarks.nano_scenes [-o runs/scenes] [--sam nano]

The same figures that ``promise pretrain`` reports at its end.
"""

import argparse
from pathlib import Path

from promise_seg.learning.scene_scores import score_on_scenes
from promise_seg.sam.loading import load_sam
from promise_seg.scenes.library import SceneLibrary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/scenes"))
    parser.add_argument("--sam", default="nano")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="of the scenes; training used even seeds")
    args = parser.parse_args()
    sam = load_sam(args.sam)
    library = SceneLibrary(args.output, args.scenes, seed=args.seed, size=sam.image_size)
    library.draw()
    for prompts, dice in score_on_scenes(sam, library).items():
        print(f"{prompts:9} mean Dice {dice:.4f} on {args.scenes} unseen scenes")


if __name__ == "__main__":
    main()
