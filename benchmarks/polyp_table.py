"""The table of docs/results.md: every variant on one data set, three seeds, beside a U-Net of equal CPU time.

    python -m benchmarks.polyp_table ../shared/data/polyp/manifest.csv -o runs/polyp_table

Train on ``train``, choose on ``val``, report ``test``. Finished cells are kept in ``cells.json``, so it can be stopped.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from benchmarks.unet import build_unet, score_unet, train_unet
from promise_seg.assessment.evaluation import Assessment, PromptSource, evaluate
from promise_seg.assessment.metrics import mean_scores
from promise_seg.checkpoint import load_checkpoint
from promise_seg.cli.common import quiet_libraries
from promise_seg.data.checks import CheckedRow, check_rows
from promise_seg.data.manifest import Split, read_manifest
from promise_seg.features.store import FeatureStore
from promise_seg.files import write_json, write_text
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.training import TrainingRun
from promise_seg.model import PromiseModel, bare_model
from promise_seg.sam.loading import load_sam

MODELS = (("ips", "heatmap"), ("apm", "heatmap"), ("apm+ips", "heatmap"), ("apm", "resnet"), ("apm+ips", "resnet"))


class Table:
    """Cells by name; each is computed once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cells.json"
        self.cells: dict[str, dict] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def cell(self, name: str, compute: Callable[[], dict]) -> dict:
        if name not in self.cells:
            self.cells[name] = compute()
            write_json(self.path, self.cells)
            print(name, self.cells[name], flush=True)
        return self.cells[name]


def score(model: PromiseModel, rows: list[CheckedRow], source: str, seed: int, store: FeatureStore) -> dict:
    assessment = Assessment(prompts=PromptSource(source), seed=seed)
    mean = mean_scores([r.scores for r in evaluate(model, rows, assessment, store=store)])
    return {"dice": round(mean.dice, 4), "iou": round(mean.iou, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--resnet-seeds", type=int, nargs="*", default=[0], help="the paper's APM takes far longer")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--views", type=int, default=8)
    args = parser.parse_args()
    quiet_libraries()

    rows = check_rows(read_manifest(args.data))
    by_split = {split: [r for r in rows if r.row.split == split] for split in Split}
    test = by_split[Split.TEST]
    sam, store, accelerator = load_sam("nano"), FeatureStore(args.output / "features"), Accelerator(cpu=True)
    table = Table(args.output)

    def start(variant: str, apm: str, seed: int) -> TrainingRun:
        settings = TrainSettings(variant=variant, apm=apm, seed=seed, epochs=args.epochs, views=args.views)
        return TrainingRun(args.output / f"{variant}-{apm}-{seed}", rows, sam, store, settings, accelerator)

    def encode() -> dict:
        started = time.process_time()
        views = start("ips", "heatmap", args.seeds[0]).encode()
        return {"views": views, "cpu_seconds": round(time.process_time() - started, 1)}

    encoding = table.cell("encoding", encode)

    def train(variant: str, apm: str, seed: int) -> dict:
        run = start(variant, apm, seed)
        run.encode()
        started = time.process_time()
        run.run()
        trained = sum(p.numel() for p in run.model.trainable_parameters().values())
        return {
            "val_dice": round(run.best["dice"], 4),
            "cpu_seconds": round(time.process_time() - started, 1),
            "parameters": trained,
        }

    def unet_of(seed: int, budget: float) -> dict:
        unet, epochs = train_unet(
            by_split[Split.TRAIN], by_split[Split.VAL], side=sam.image_size, cpu_seconds=budget, seed=seed
        )
        mean = mean_scores(score_unet(unet, test, sam.image_size))
        parameters = sum(p.numel() for p in build_unet().parameters())
        return {
            "dice": round(mean.dice, 4), "iou": round(mean.iou, 4), "epochs": epochs, "cpu_seconds": round(budget, 1),
            "parameters": parameters,
        }  # fmt: skip

    for seed in args.seeds:
        table.cell(f"bare|oracle|{seed}", lambda seed=seed: score(bare_model(sam), test, "oracle", seed, store))
    for kind, seeds in (("heatmap", args.seeds), ("resnet", args.resnet_seeds)):
        for seed in seeds:
            for variant, apm in MODELS:
                if apm != kind:
                    continue
                name = f"{variant}-{apm}"
                table.cell(f"{name}|train|{seed}", lambda v=variant, a=apm, s=seed: train(v, a, s))
                for source in ("apm", "oracle"):
                    if source == "apm" and variant == "ips":
                        continue

                    def scored(name: str = name, seed: int = seed, source: str = source) -> dict:
                        return score(load_checkpoint(args.output / f"{name}-{seed}", sam), test, source, seed, store)

                    table.cell(f"{name}|{source}|{seed}", scored)
            if kind == "heatmap":
                spent = encoding["cpu_seconds"] + table.cells[f"apm+ips-heatmap|train|{seed}"]["cpu_seconds"]
                table.cell(f"unet|apm|{seed}", lambda s=seed, b=spent: unet_of(s, b))

    lines = [
        "| model | prompts | test Dice, mean | range | test IoU, mean | seeds | parameters | CPU seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(key.rsplit("|", 1)[0] for key in table.cells if "|train|" not in key and "|" in key):
        model, source = name.split("|")
        seeds = [seed for seed in range(1000) if f"{name}|{seed}" in table.cells]
        cells = [table.cells[f"{name}|{seed}"] for seed in seeds]
        made = [table.cells.get(f"{model}|train|{seed}", cell) for seed, cell in zip(seeds, cells, strict=True)]
        dice = [c["dice"] for c in cells]
        prompts = {"apm": "own", "oracle": "oracle (from the ground truth)"}[source] if model != "unet" else "none"
        cost = f"{np.mean([m['cpu_seconds'] for m in made]):.0f}" if "cpu_seconds" in made[0] else "0"
        lines.append(
            f"| {model} | {prompts} | {np.mean(dice):.3f} | {min(dice):.3f} to {max(dice):.3f} "
            f"| {np.mean([c['iou'] for c in cells]):.3f} | {len(seeds)} | {made[0].get('parameters', 0):,} | {cost} |"
        )
    lines.append(f"\nEncoding all views once: {encoding['views']} views, {encoding['cpu_seconds']:.0f} CPU seconds.")
    write_text(args.output / "table.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
