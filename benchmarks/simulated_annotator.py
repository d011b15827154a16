"""How many edits a person would need: an annotator is simulated who clicks where the error is largest.

    python -m benchmarks.simulated_annotator runs/polyp polyps.csv --split test
    python -m benchmarks.simulated_annotator runs/polyp polyps.csv --split val --images 5 -o runs/annotator.json

Three ways to Dice 0.9 are compared on the same images: from the model's automatic prompts, from nothing with the model,
and from nothing with its SAM alone. An edit is a click in the middle of the largest part that is wrong: foreground
where something is missing, background where there is too much. The first mask of automatic prompts costs no edit. An
image that is not there after ``--most`` edits counts with one more. Seconds are those of computing the masks, without
the person.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

import promise_seg
from promise_seg.arrays import BoolArray
from promise_seg.assessment.statistics import interval_words, mean_interval
from promise_seg.dataset.checks import CheckedRow
from promise_seg.model import bare_model
from promise_seg.prediction.predictor import Predictor
from promise_seg.prediction.session import Session
from promise_seg.storage.files import write_json

WAYS = ("automatic prompts", "nothing, the model", "nothing, SAM alone")


def dice(one: BoolArray, other: BoolArray) -> float:
    """Return the Dice of two masks; 1 if both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 1.0 if total == 0 else 2 * int((one & other).sum()) / total


def next_click(mask: BoolArray, truth: BoolArray) -> tuple[int, int, int]:
    """Return x, y and label of a click into the middle of the largest part of (H, W) masks that is wrong."""
    best: tuple[int, BoolArray, int] = (0, truth, 1)
    for wrong, label in ((truth & ~mask, 1), (mask & ~truth, 0)):
        parts, count = ndimage.label(wrong)
        for number in range(1, count + 1):
            part = parts == number
            if int(part.sum()) > best[0]:
                best = int(part.sum()), part, label
    inside = ndimage.distance_transform_edt(np.pad(best[1], 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(x), int(y), best[2]


def edits_of(session: Session, truth: BoolArray, wanted: float, most: int, *, automatic: bool) -> tuple[int, float]:
    """Return how many clicks it takes to the wanted Dice, and how many seconds the masks of these take."""
    began = time.perf_counter()
    if not automatic:
        session.clear()
    for edits in range(most + 1):
        found = session.prediction
        mask = np.zeros_like(truth) if found is None else np.asarray(found.mask)
        if dice(mask, truth) >= wanted:
            return edits, time.perf_counter() - began
        if edits < most:
            session.add_point(*next_click(mask, truth))
    return most + 1, time.perf_counter() - began


def measure(
    model: promise_seg.Model, rows: Sequence[CheckedRow], wanted: float, most: int, say: Callable[[str], object]
) -> dict[str, dict[str, list[float]]]:
    """Return edits and seconds for each way and row."""
    found: dict[str, dict[str, list[float]]] = {way: {"edits": [], "seconds": []} for way in WAYS}
    alone = Predictor(bare_model(model.sam, model.model.config.fit, model.reading))
    for number, row in enumerate(rows, 1):
        truth = row.mask()
        for way, one in zip(WAYS, (model, model, alone), strict=True):
            session = one.session(one.encode(row.row.image, row.index))
            edits, seconds = edits_of(session, truth, wanted, most, automatic=way == WAYS[0])
            found[way]["edits"].append(edits)
            found[way]["seconds"].append(seconds)
        say(f"{number} of {len(rows)}: " + ", ".join(f"{way} {found[way]['edits'][-1]:g}" for way in WAYS))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, help="how many, drawn at random; all by default")
    parser.add_argument("--dice", type=float, default=0.9)
    parser.add_argument("--most", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    model = promise_seg.load(given.model)
    if not isinstance(model, promise_seg.Model):
        parser.error(f"{given.model}: name the model of one class")
    rows = list(promise_seg.Dataset.from_csv(given.data, split=given.split, like=model.reading))
    if given.images is not None and given.images < len(rows):
        chosen = np.random.default_rng(given.seed).choice(len(rows), given.images, replace=False)
        rows = [rows[number] for number in sorted(chosen)]
    found = measure(model, rows, given.dice, given.most, lambda words: print(words, flush=True))
    groups, summary = [row.row.group for row in rows], {}
    for way in WAYS:
        edits = mean_interval(found[way]["edits"], groups, seed=given.seed)
        there: Any = np.mean(np.array(found[way]["edits"]) <= given.most)
        seconds = mean_interval(found[way]["seconds"], groups, seed=given.seed)
        print(
            f"from {way}: {np.mean(found[way]['edits']):.2f} edits ({interval_words(edits)}; median "
            f"{np.median(found[way]['edits']):g}) to Dice {given.dice:g}, {there:.0%} of {len(rows)} images within "
            f"{given.most}; {np.mean(found[way]['seconds']):.2f} s of computing ({interval_words(seconds)})"
        )
        summary[way] = found[way] | {"mean_edits": float(np.mean(found[way]["edits"])), "interval": edits.ends}
    if given.output is not None:
        write_json(given.output, {"model": given.model, "data": str(given.data), "split": given.split, "ways": summary})


if __name__ == "__main__":
    main()
