"""The run of a baseline without training: it is fitted once, saved to a file, and scored like every other model."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from promise_seg.arrays import BoolArray, Float32Array
from promise_seg.assessment.evaluation import Assessment, Result, score_row
from promise_seg.augmentation import View
from promise_seg.benchmarking.plain_rules import PlainRule
from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.errors import CheckpointError, first_line
from promise_seg.inference.encoding import Sample
from promise_seg.inference.masks import Masks
from promise_seg.inference.rows import DecodedRow
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone, state_sha256
from promise_seg.storage.tensor_files import load_tensors, read_metadata, save_tensors
from promise_seg.vocabulary import Fit, MaskChoice, MaskKind

RULE_FILE = "rule.safetensors"
_CERTAIN = 10.0


@dataclass(frozen=True)
class _MaskInImage(Masks):
    """A single mask (H, W) that is given in the image frame, so that it need not be mapped there."""

    mask: BoolArray | None = None

    def probs(self, choice: MaskChoice) -> Float32Array:
        if self.mask is None:
            raise ValueError("a rule gives a mask")
        return self.mask.astype("float32")


class PlainRun:
    """The run of a rule that is fitted on train rows, or was fitted before.

    Args:
        folder: the folder for the fitted values.
        name: the name of the rule.
        rule: the rule.
        train: the train rows to fit on.
        sam: the SAM; only its input size is used, and only for the scores of the published procedure.
        fit: the way in which images become squares for these scores.

    Raises:
        CheckpointError: if the folder contains damaged values, or values of other rows or another rule.
    """

    def __init__(
        self, folder: Path, name: str, rule: PlainRule, train: Sequence[CheckedRow], sam: Backbone, fit: Fit
    ) -> None:
        self.path, self.rule, self.train_rows = folder / RULE_FILE, rule, train
        self.side, self.fit = sam.image_size, fit
        self._identity = {
            "rule": name, "data_sha256": data_sha256(train), "reading": train[0].reading.model_dump(mode="json")
        } | ({"version": rule.version} if rule.version > 1 else {})  # fmt: skip
        if rule.separates and train[0].reading.masks == MaskKind.INSTANCES:
            self._identity["separates"] = True
        self.fitted: dict[str, Tensor] = {}
        if self.path.exists():
            self._load()

    def _load(self) -> None:
        try:
            self.fitted, metadata = load_tensors(self.path)
            identity = json.loads(metadata["facts"])["identity"]
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{self.path}: cannot be read: {first_line(error)}. Remove it; it is made again in seconds"
            ) from error
        if identity != self._identity:
            raise CheckpointError(
                f"{self.path}: was made for other settings or data. Choose another -o folder, or remove it"
            )

    @property
    def finished(self) -> bool:
        """Whether the rule is fitted."""
        return bool(self.fitted)

    def run(self, progress: Progress = silent) -> None:
        """Fit the rule on train rows, unless that was done before, and write the values with the CPU seconds that it
        took."""
        if self.finished:
            return
        started = time.process_time()
        self.fitted = self.rule.fit(self.train_rows, progress)
        facts = {"identity": self._identity, "cpu_seconds": round(time.process_time() - started, 6)}
        save_tensors(self.path, self.fitted, {"facts": json.dumps(facts)})

    def evaluate(self, rows: Sequence[CheckedRow], how: Assessment) -> list[Result]:
        """Evaluate the rule by the requested protocol. The predicted IoU is NaN, because a rule predicts none."""
        return [score_row(self._decoded(row), MaskChoice.FIRST, how, full=True) for row in rows]

    def _decoded(self, row: CheckedRow) -> DecodedRow:
        sample, mask = Sample(row, View(), self.side, self.fit), self.rule.mask(row, self.fitted)
        logits = (torch.from_numpy(sample.to_frame(mask)).float() * 2 - 1) * _CERTAIN
        nothing = torch.full((1, 1), float("nan"))
        masks = _MaskInImage(logits[None, None], nothing, sample.geometry, mask=mask)
        return DecodedRow(sample, masks, own_instances=self.rule.instances(row, self.fitted))

    def best_sha256(self) -> str:
        """Return the hash of the fitted values."""
        return state_sha256(self.fitted)


def fitting_seconds(folder: Path) -> float:
    """Return the CPU seconds of fitting the rule in a folder; 0 if there is none, or it cannot be read."""
    try:
        return float(json.loads(read_metadata(folder / RULE_FILE)["facts"])["cpu_seconds"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return 0.0
