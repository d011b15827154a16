"""How much Dice changes where stored features have 8 bits instead of half precision, with the same trained model.

    python -m benchmarks.store_precision runs/polyp my.csv

The rows of a split are scored twice, on features from two new stores; each image is encoded once.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.cli.common import quiet_libraries
from promise_seg.dataset.dataset import Dataset
from promise_seg.features.contents import entries_of
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, sam_features
from promise_seg.vocabulary import PromptSource
from promise_seg.workflows.models import load


def feature_error(half: np.ndarray, eight: np.ndarray) -> float:
    """The root of the mean square of the differences, beside the standard deviation."""
    return float(np.sqrt(np.mean((half - eight) ** 2)) / half.std())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="+")
    parser.add_argument("data")
    parser.add_argument("--split", default="test")
    args = parser.parse_args()
    quiet_libraries()
    data = Dataset.from_csv(args.data)
    rows = getattr(data, args.split)
    for name in args.model:
        model = load(name, device="cpu").model
        with tempfile.TemporaryDirectory() as folder:
            half, eight = (FeatureStore(Path(folder) / "store", precision) for precision in ("fp16", "int8"))
            samples = [Sample.of(row, model.sam, model.config.fit) for row in rows[:8]]
            errors = {}
            for sample in samples:
                one, other = (sam_features([sample], model.sam, store, model.stages_read) for store in (half, eight))
                for tensor, value in other.tensors.items():
                    whole = one.tensors.get(tensor)
                    whole = one.stage(int(tensor[-1])) if whole is None else whole
                    errors.setdefault(tensor, []).append(feature_error(whole.numpy(), value.numpy()))
            size = next(entries_of(half.folder)).size
            shares = ", ".join(f"{tensor} {np.mean(found):.4f}" for tensor, found in errors.items())
            print(f"{name}: {size} bytes an entry of half precision; error of 8 bits / deviation: {shares}", flush=True)
            sources = [PromptSource.APM, PromptSource.ORACLE] if model.apm is not None else [PromptSource.ORACLE]
            for prompts in sources:
                assessment = Assessment(prompts=prompts)
                scores = [evaluate(model, rows, assessment, store=store) for store in (half, eight)]
                first, second = (np.array([one.scores.dice for one in results]) for results in scores)
                change = np.abs(second - first)
                print(
                    f"  {prompts}: mean Dice {first.mean():.4f} with half precision, {second.mean():.4f} with 8 bits; "
                    f"the Dice of one image changes by at most {change.max():.4f}, of half of them by at most "
                    f"{np.median(change):.4f} ({len(rows)} {args.split} rows)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
