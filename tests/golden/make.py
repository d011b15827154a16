"""What models of the published kinds say of one picture, in a few kB: ``python -m tests.golden.make`` writes it anew.

The SAM is of 32 px, and every weight comes from the name that the published code gives it: NumPy's ``RandomState``,
whose numbers are the same in every version, seeded with the name's CRC-32. So nothing is stored but what came out. The
numbers were written when this code gave the published code's own outputs on a ViT-B (tests/compat, which needs files
that are not part of the repository); whoever changes them has to compare with those again.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

import promise_seg
from promise_seg.compat.reference import load_reference
from promise_seg.model import PromiseModel
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import ApmKind, Variant
from tests.helpers import TINY_SIDE, make_tiny_sam, reference_state_of

FILE = Path(__file__).with_name("published.json")
NUM_POINTS = 6
KINDS = {
    "apm-resnet": (Variant.APM, ApmKind.RESNET),
    "apm-cross": (Variant.APM, ApmKind.CROSS),
    "ips": (Variant.IPS, ApmKind.RESNET),
    "apm+ips-resnet": (Variant.APM_IPS, ApmKind.RESNET),
    "apm+ips-cross": (Variant.APM_IPS, ApmKind.CROSS),
}
"""Variant and APM of each model; the shift alone has no APM."""


def weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """The parameter or buffer of this name in the published code."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        values = 1 + 0.1 * np.abs(values)
    elif name.endswith("running_mean") or "pos_embed" in name:
        values = 0.1 * values
    elif len(shape) == 1:
        values = 1 + 0.1 * values if name.endswith("weight") else 0.1 * values
    elif not name.endswith("gaussian_matrix"):
        values = values / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(values, np.float32))


@contextmanager
def published_file(kind: str) -> Iterator[Path]:
    """A checkpoint as the published code would write it."""
    variant, apm = KINDS[kind]
    shapes = reference_state_of(make_tiny_sam(), variant, apm, NUM_POINTS)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{kind}.pt"
        torch.save({name: weight(name, tuple(value.shape)) for name, value in shapes.items()}, path)
        yield path


def picture(height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: a bright blob on a slope."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    slope = np.stack([140 + 60 * x, 80 + 50 * y, 60 + 30 * np.sin(9 * x + 4 * y)], -1)
    inside = np.hypot((x - 0.6) * 1.3, y - 0.4) < 0.2
    return np.clip(slope + inside[..., None] * np.array([50, -30, 40]), 0, 255).astype(np.uint8)


@torch.no_grad()
def in_model_frame(model: PromiseModel) -> dict[str, Any]:
    """The picture at the model's own size, step by step."""
    features = model.encode(torch.from_numpy(picture(TINY_SIDE, TINY_SIDE))[None])
    facts: dict[str, Any] = {"embedding": features.embedding[0, ::2, 1::3, 2::3]}
    if model.apm is None:
        points_xy_model = torch.tensor([[[[19.0, 13.0], [5.0, 28.0]]]])
        prompts = Prompts(points_xy_model=points_xy_model, point_labels=torch.tensor([[[1, 0]]]))
    else:
        proposal = model.propose(features)
        facts |= {"points_xy": proposal.points_xy_model[0, 0], "point_labels": proposal.point_labels[0, 0]}
        prompts = proposal
    decoded = model.decode(features, prompts)
    logits = decoded.mask_logits[0, 0]
    return facts | {
        "iou": decoded.iou[0, 0],
        "mask_logits": logits[:, 1::7, 2::7],
        "mean": logits.mean((1, 2)),
        "spread": logits.std((1, 2)),
    }


def in_image_frame(path: Path) -> dict[str, Any]:
    """A picture of another shape, from its pixels to the chosen mask's probabilities at its own size."""
    model = promise_seg.load(path)
    prompts: dict[str, Any] = {} if model.model.apm else {"points_xy": [(24, 12)], "point_labels": [1]}
    found = model.predict(picture(30, 40), **prompts)
    return {"mask_probs": found.mask_probs[2::7, 3::7], "predicted_iou": [found.predicted_iou]}


def outputs(kind: str) -> dict[str, Any]:
    """All that is kept of one model, as lists of numbers."""
    with published_file(kind) as path:
        facts = in_model_frame(load_reference(path)) | in_image_frame(path)
    return {name: np.asarray(value, np.float64).round(5).tolist() for name, value in facts.items()}


if __name__ == "__main__":
    models = [
        f'"{kind}": {{\n' + ",\n".join(f'"{n}": {json.dumps(v)}' for n, v in outputs(kind).items()) + "\n}"
        for kind in KINDS
    ]
    FILE.write_text("{\n" + ",\n".join(models) + "\n}\n", encoding="utf-8")
