"""Does a model that has only seen bright cells find dark ones? Nuclei of the Data Science Bowl are of both kinds.

    python -m benchmarks.cell_brightness ../shared/data/nuclei/manifest.csv -o runs/brightness
    promise train runs/brightness/manifest.csv --instances --epochs 30 --seed 0 -o runs/brightness/plain-0
    promise evaluate runs/brightness/plain-0 runs/brightness/manifest.csv -o runs/brightness/plain-0/test
    promise train runs/brightness/manifest.csv --instances --epochs 30 --seed 0 --inverted-views 0.2 \
        -o runs/brightness/inverted-0
    promise evaluate runs/brightness/inverted-0 runs/brightness/manifest.csv -o runs/brightness/inverted-0/test

The script writes a manifest of the ``train`` and ``val`` rows, and leaves the ``test`` rows out: images whose nuclei
are brighter than what is around them, in their own splits, and those with darker nuclei as ``test``. Masks are the
instance maps in the folder ``instances`` next to the manifest.
"""

import argparse
from pathlib import Path

from promise_seg.dataset.manifest import Row, read_manifest
from promise_seg.images.readers import read_image, read_labels
from promise_seg.storage.files import write_text
from promise_seg.vocabulary import Split


def has_dark_objects(row: Row) -> bool:
    """Whether the objects of an image are darker than the rest of it, on average."""
    brightness, is_object = read_image(row.image).mean(2), read_labels(row.mask) > 0
    return bool(brightness[is_object].mean() < brightness[~is_object].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/brightness"))
    args = parser.parse_args()
    instances = args.manifest.parent / "instances"
    lines = ["image_name,train_type,mask_name"]
    for row in read_manifest(args.manifest):
        if row.split != Split.TEST:
            split = Split.TEST if has_dark_objects(row) else row.split
            lines.append(f"{row.image.resolve()},{split},{(instances / row.mask.name).resolve()}")
    write_text(args.output / "manifest.csv", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
