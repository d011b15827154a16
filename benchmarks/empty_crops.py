"""Crops of real images with and without an object, to measure how often a model says *nothing here*, and rightly.

    python -m benchmarks.empty_crops DATA.csv -o runs/crops

Of each image at most one square window that holds no pixel of the object and one that holds some of it, both of half
the shorter side and with little of the black around the image, so that neither tells which it is. Then, as with any
data:

    promise train runs/crops/manifest.csv -o runs/crops/run
    promise evaluate runs/crops/run runs/crops/manifest.csv -o runs/crops/run/test --by content
"""

import argparse
import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from promise_seg.cli.common import stages_bar
from promise_seg.dataset.checks import CheckedRow, check_row
from promise_seg.dataset.manifest import read_manifest
from promise_seg.progress import counted
from promise_seg.storage.files import write_text, write_whole

POSITIONS = 5
"""Windows begin at so many places along each side."""
LEAST_LIGHT = 0.95
"""This share of a window must be image and not the black around it."""
DARK = 32
OBJECT_SHARE = (0.05, 0.6)
"""Of a window with an object, a share within these must be object."""


def windows(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Squares of half the shorter side, evenly over the image."""
    side = min(height, width) // 2
    for top in np.linspace(0, height - side, POSITIONS).astype(int):
        for left in np.linspace(0, width - side, POSITIONS).astype(int):
            yield slice(top, top + side), slice(left, left + side)


def crops(row: CheckedRow, seed: int) -> dict[str, tuple[slice, slice]]:
    """Where the window without an object is and the one with it, as far as there are such."""
    image, mask = row.image(), row.mask()
    light = [at for at in windows(*mask.shape) if (image[at].max(axis=2) > DARK).mean() >= LEAST_LIGHT]
    low, high = OBJECT_SHARE
    kinds = {
        "nothing": [at for at in light if not mask[at].any()],
        "object": [at for at in light if low <= mask[at].mean() <= high],
    }
    rng = np.random.default_rng([seed, int(row.image_sha256[:16], 16)])
    return {kind: found[rng.integers(len(found))] for kind, found in kinds.items() if found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="which of the windows")
    args = parser.parse_args()
    rows = read_manifest(args.data)
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image_name", "train_type", "mask_name", "group", "content"])
    counts: Counter[tuple[str, str]] = Counter()
    with stages_bar() as progress:
        for number, row in enumerate(counted(rows, progress, "cropping")):
            checked = check_row(row)[0]
            for content, at in crops(checked, args.seed).items():
                names = [f"{kind}/{number:05}_{content}.png" for kind in ("images", "masks")]
                for name, pixels in zip(names, (checked.image(), checked.mask().astype(np.uint8) * 255), strict=True):
                    picture = Image.fromarray(pixels[at])
                    write_whole(args.output / name, picture.save)
                table.writerow([names[0], row.split, names[1], row.group, content])
                counts[str(row.split), content] += 1
    write_text(args.output / "manifest.csv", text.getvalue())
    for (split, content), count in sorted(counts.items()):
        print(f"{split}: {count} crops with {content}")
    print(f"written: {args.output / 'manifest.csv'}")


if __name__ == "__main__":
    main()
