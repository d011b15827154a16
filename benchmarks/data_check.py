"""How long ``promise data check`` takes beside merely reading the same files, and whether its memory grows with them.

    python -m benchmarks.data_check --images 10000

Each number of images is read and checked in a process of its own, one after the other.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from promise_seg.curation.inspection.inspecting import inspect
from promise_seg.storage.hashing import file_sha256

_SIZE = (384, 288)
_CLIP = 25


def write_data(folder: Path, count: int) -> Path:
    """Discs as JPEG, masks as PNG, as large as frames of colonoscopies, in clips of frames that look alike."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    y, x = np.mgrid[0 : _SIZE[1], 0 : _SIZE[0]]
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", "train_type", "mask_name", "group"])
        for number in range(count):
            rng = np.random.default_rng(number)
            clip = number // _CLIP
            coarse = np.random.default_rng([0, clip]).integers(0, 160, (9, 12, 3)).astype(np.uint8)
            image = np.asarray(Image.fromarray(coarse).resize(_SIZE, Image.Resampling.BICUBIC)).copy()
            mask = np.hypot(x - rng.uniform(60, 320), y - rng.uniform(60, 220)) < rng.uniform(15, 60)
            image[mask] += 60
            Image.fromarray(image).save(folder / f"images/{number}.jpg", quality=90)
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"masks/{number}.png")
            split = ("train", "val", "test")[clip % 3]
            writer.writerow([f"images/{number}.jpg", split, f"masks/{number}.png", f"clip{clip}"])
    return folder / "manifest.csv"


def read_only(manifest: Path, count: int) -> None:
    """What no check can do without: hash and decode each file once."""
    for number in range(count):
        image, mask = manifest.parent / f"images/{number}.jpg", manifest.parent / f"masks/{number}.png"
        file_sha256(image)
        np.asarray(Image.open(image).convert("RGB"))
        np.unique(np.asarray(Image.open(mask)))


def measure(manifest: Path, count: int) -> None:
    """Both, in this process; prints a line of JSON."""
    inspect(manifest.with_name("few.csv"))  # loads what is loaded late
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    read_only(manifest, count)
    reading = time.process_time() - started
    started = time.process_time()
    found = len(inspect(manifest).findings)
    checking = time.process_time() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"reading": reading, "checking": checking, "grown": grown / 1024, "findings": found}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure, args.images)
        return
    print("| images | reading, CPU s | checking, CPU s | ratio | memory grown, MB | findings |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_data(Path(folder) / "data", args.images)
        lines = manifest.read_text().splitlines()
        manifest.with_name("few.csv").write_text("\n".join(lines[:10]))
        for count in (args.images // 10, args.images):
            manifest.write_text("\n".join(lines[: count + 1]))
            command = [
                sys.executable,
                "-m",
                "benchmarks.data_check",
                "--images",
                str(count),
                "--measure",
                str(manifest),
            ]
            facts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            ratio = facts["checking"] / facts["reading"]
            times = f"{facts['reading']:.1f} | {facts['checking']:.1f} | {ratio:.2f}"
            print(f"| {count:,} | {times} | {facts['grown']:.0f} | {facts['findings']} |", flush=True)


if __name__ == "__main__":
    main()
