"""A drawn slide of nuclei: how much memory and time it takes, and whether objects at seams are found as others are.

    python -m benchmarks.drawn_slide make -o runs/slide --side 20000
    promise train runs/slide/manifest.csv --instances --tile auto --seed 0 -o runs/slide/model-0
    python -m benchmarks.drawn_slide predict runs/slide/model-0 runs/slide --tile 256 --overlap 48
    python -m benchmarks.drawn_slide score runs/slide --tile 256 --overlap 48

Name in the last two commands the tiles that training chose, if it chose others. For time that is linear in the tiles,
compare slides of several sides. The nuclei are ellipses at jittered places of a lattice, so that any window of the
slide can be drawn by itself.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

import promise_seg
from promise_seg.cli.common import quiet_libraries
from promise_seg.images.formats.tiff_slide import TiffSlide
from promise_seg.images.geometry import Box
from promise_seg.images.tiles import Tiling
from promise_seg.storage.files import write_text, write_whole

STEP = 90
"""The distance of the lattice, in pixels: a nucleus in each cell, of 16 to 44 px."""
TILE = 512
CROPS = {"train": 40, "val": 10}
CROP_SIDE = 512
STREAM = 77


def nuclei_of(column: int, row: int) -> tuple[float, float, float, float, float, float]:
    """Return centre, half axes, angle and darkness of the nucleus of a cell of the lattice."""
    rng = np.random.default_rng([STREAM, column, row])
    x, y = (column + rng.uniform(0.3, 0.7)) * STEP, (row + rng.uniform(0.3, 0.7)) * STEP
    return x, y, rng.uniform(8, 22), rng.uniform(8, 22), rng.uniform(0, np.pi), rng.uniform(0.3, 0.7)


def drawn(box: Box, lattice: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels (h, w, 3) of a window and its instance map (h, w), numbered by the cells of a lattice."""
    height, width = box.bottom - box.top, box.right - box.left
    y, x = np.mgrid[box.top : box.bottom, box.left : box.right].astype(np.float32)
    grey, labels = np.full((height, width), 0.85, np.float32), np.zeros((height, width), np.int64)
    for row in range(max(0, box.top // STEP - 1), min(lattice, box.bottom // STEP + 2)):
        for column in range(max(0, box.left // STEP - 1), min(lattice, box.right // STEP + 2)):
            centre_x, centre_y, along, across, angle, dark = nuclei_of(column, row)
            first, last = int(max(0, centre_y - 24 - box.top)), int(max(0, centre_y + 24 - box.top))
            left, right = int(max(0, centre_x - 24 - box.left)), int(max(0, centre_x + 24 - box.left))
            part = slice(first, last), slice(left, right)
            dx, dy = x[part] - centre_x, y[part] - centre_y
            u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
            inside = (u / along) ** 2 + (v / across) ** 2 < 1
            grey[part][inside], labels[part][inside] = 0.85 - dark, row * lattice + column + 1
    noise = np.random.default_rng([STREAM, box.left, box.top, 1]).normal(0, 0.06, grey.shape)
    tint = np.array([1.0, 0.82, 0.95], np.float32)
    rgb = np.clip((grey + noise)[..., None] * tint * 255, 0, 255).astype(np.uint8)
    return rgb, labels


def windows(side: int) -> Iterator[Box]:
    for top in range(0, side, TILE):
        for left in range(0, side, TILE):
            yield Box(left, top, left + TILE, top + TILE)  # tiles at the border are padded


def make(output: Path, side: int) -> None:
    """Write the slide, its ground truth, and crops of another slide to train on."""
    lattice = side // STEP
    output.mkdir(parents=True, exist_ok=True)
    shared = {"tile": (TILE, TILE), "compression": "zlib"}
    for name, kind, depth in (("slide.tif", 0, np.uint8), ("truth.tif", 1, np.uint16)):
        shape = (side, side, 3) if kind == 0 else (side, side)
        photometric = "rgb" if kind == 0 else "minisblack"
        tiles = (drawn(box, lattice)[kind].astype(depth) for box in windows(side))
        tifffile.imwrite(output / name, tiles, shape=shape, dtype=depth, photometric=photometric, **shared)
    lines, first = ["image_name,train_type,mask_name"], (side // STEP + 10) * STEP
    for number, split in enumerate(split for split, count in CROPS.items() for _ in range(count)):
        left = first + number * (CROP_SIDE + 2 * STEP)
        rgb, labels = drawn(Box(left, first, left + CROP_SIDE, first + CROP_SIDE), 10**6)
        _, labels = np.unique(labels, return_inverse=True)
        for end, pixels in ((".png", rgb), ("_mask.png", labels.reshape(rgb.shape[:2]).astype(np.uint16))):
            write_whole(output / "crops" / f"{number}{end}", Image.fromarray(pixels).save)
        lines.append(f"crops/{number}.png,{split},crops/{number}_mask.png")
    write_text(output / "manifest.csv", "\n".join(lines) + "\n")


def predict(model: Path, folder: Path, tiling: Tiling) -> None:
    """Predict the slide, and say how long each tile took and how much memory there was in use."""
    quiet_libraries()
    started = time.perf_counter()
    outcome = promise_seg.predict_folder(
        model, folder / "slide.tif", folder / "out", instances=True, tile=tiling.side, overlap=tiling.overlap
    )
    seconds = time.perf_counter() - started
    height, width = TiffSlide(folder / "slide.tif").size or (0, 0)
    tiles = sum(map(len, tiling.grid(Box(0, 0, width, height))))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{outcome}\n{tiles} tiles, {seconds / tiles:.3f} s each, at most {peak:.2f} GB of memory")


def score(folder: Path, tiling: Tiling) -> None:
    """Print the F1 at an IoU of 0.5 of objects that an inner edge of a tile crosses, and of all others."""
    found, truth = TiffSlide(folder / "out" / "masks" / "slide.tif"), TiffSlide(folder / "truth.tif")
    height, width = truth.size or (0, 0)
    grid = tiling.grid(Box(0, 0, width, height))
    seams_x = {edge for box in grid[0] for edge in (box.left, box.right) if 0 < edge < width}
    seams_y = {edge for row in grid for edge in (row[0].top, row[0].bottom) if 0 < edge < height}
    crosses = (set[int](), set[int]())
    pairs: dict[tuple[int, int], int] = {}
    before: tuple[np.ndarray, np.ndarray] | None = None
    for top in range(0, height, TILE):
        strip = Box(0, top, width, min(top + TILE, height))
        maps = found.window(strip).astype(np.int64), truth.window(strip).astype(np.int64)
        values, counts = np.unique(maps[0] * 2**16 + maps[1], return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            key = divmod(value, 2**16)
            pairs[key] = pairs.get(key, 0) + count
        for kind, one in enumerate(maps):
            for edge in seams_x:
                crosses[kind].update(one[:, edge][one[:, edge] == one[:, edge - 1]].tolist())
            for edge in seams_y & set(range(top, strip.bottom)):
                above = one[edge - top - 1] if edge > top else before[kind][-1] if before is not None else one[0]
                crosses[kind].update(one[edge - top][one[edge - top] == above].tolist())
        before = maps
    _print_scores(pairs, crosses)


def _print_scores(pairs: dict[tuple[int, int], int], crosses: tuple[set[int], set[int]]) -> None:
    areas: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for key, count in pairs.items():
        for kind, number in enumerate(key):
            areas[kind][number] = areas[kind].get(number, 0) + count
    hits = {
        key for key, shared in pairs.items()
        if all(key) and shared / (areas[0][key[0]] + areas[1][key[1]] - shared) > 0.5
    }  # fmt: skip
    for name, at_seams in (("objects at seams", True), ("other objects", False)):
        counts = [sum(number > 0 and (number in crosses[k]) == at_seams for number in areas[k]) for k in (0, 1)]
        of_truth = sum((true in crosses[1]) == at_seams for _, true in hits)
        of_found = sum((predicted in crosses[0]) == at_seams for predicted, _ in hits)
        f1 = (of_truth + of_found) / max(sum(counts), 1)
        print(f"{name}: F1 {f1:.4f} at an IoU of 0.5, {counts[1]} in the ground truth, {counts[0]} found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make")
    maker.add_argument("-o", "--output", type=Path, default=Path("runs/slide"))
    maker.add_argument("--side", type=int, default=20_000, help="at most 23,000, as instance maps have 16 bits")
    predictor, scorer = commands.add_parser("predict"), commands.add_parser("score")
    predictor.add_argument("model", type=Path)
    for one in (predictor, scorer):
        one.add_argument("folder", type=Path)
        one.add_argument("--tile", type=int, required=True)
        one.add_argument("--overlap", type=int, required=True)
    args = parser.parse_args()
    if args.command == "make":
        make(args.output, args.side)
    elif args.command == "predict":
        predict(args.model, args.folder, Tiling(side=args.tile, overlap=args.overlap))
    else:
        score(args.folder, Tiling(side=args.tile, overlap=args.overlap))


if __name__ == "__main__":
    main()
