"""The identity of a run: an interrupted run resumes only with the same identity."""

import hashlib
from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.images.reading import KeptReading
from promise_seg.learning.settings import TrainSettings
from promise_seg.sam.backbone import Backbone
from promise_seg.vocabulary import EncoderPrecision, StorePrecision

_WORDS = {"data_sha256": "data", "order_sha256": "order of rows", "sam_sha256": "sam", "init_sha256": "init",
          "store_precision": "store-precision", "encoder_precision": "encoder-precision"}  # fmt: skip
_LONGEST_WORDS = 60


class RunIdentity(BaseModel):
    """The facts that identify a run, stored in its state and in its ``settings.json``.

    Records of earlier versions are read with the defaults of all settings and options that were added later.

    Args:
        settings: the settings of the training.
        data_sha256: hash of the train and val rows, in any order.
        order_sha256: hash of their order, which determines the batches.
        sam_sha256: hash of the weights of the SAM.
        image_size: side of its model frame, in pixels.
        reading: how the files of the rows are read.
        init_sha256: hash of the model that the run started from; ``None``, and not written, if there was none.
        store_precision: the precision of the stored features; half precision is not written, as in earlier versions.
        encoder_precision: the precision of SAM's encoder; single precision is not written, as in earlier versions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: TrainSettings
    data_sha256: str
    order_sha256: str
    sam_sha256: str
    image_size: int
    reading: KeptReading
    init_sha256: str | None = None
    store_precision: StorePrecision = StorePrecision.FP16
    encoder_precision: EncoderPrecision = EncoderPrecision.FP32

    @classmethod
    def of(
        cls,
        settings: TrainSettings,
        rows: Sequence[CheckedRow],
        sam: Backbone,
        init_sha256: str | None = None,
        store_precision: StorePrecision = StorePrecision.FP16,
    ) -> Self:
        """Return the identity of a run.

        Args:
            settings: the settings of the training.
            rows: train rows, then val rows.
            sam: the SAM that the model is built around.
            init_sha256: hash of the model that the run starts from, if any.
            store_precision: the precision of the stored features that it learns from.
        """
        order = hashlib.sha256("".join(row.image_sha256 for row in rows).encode()).hexdigest()
        return cls(
            settings=settings, data_sha256=data_sha256(rows), order_sha256=order, sam_sha256=sam.sha256,
            image_size=sam.image_size, reading=rows[0].reading, init_sha256=init_sha256,
            store_precision=store_precision, encoder_precision=sam.encoder_precision,
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """Return the content of a file."""
        usual = {
            "init_sha256": None, "store_precision": StorePrecision.FP16, "encoder_precision": EncoderPrecision.FP32,
        }  # fmt: skip
        return self.model_dump(
            mode="json", exclude={name for name, value in usual.items() if getattr(self, name) == value}
        )

    def changes_since(self, before: "RunIdentity") -> list[str]:
        """Return a description of each difference from an earlier identity."""
        changed = [
            f"{name}{_values(getattr(before.settings, name), value)}"
            for name, value in self.settings
            if value != getattr(before.settings, name)
        ]
        others = [n for n, value in self if n != "settings" and value != getattr(before, n)]
        return changed + [
            _WORDS.get(n, n)
            + ("" if n.endswith("sha256") or n == "reading" else _values(getattr(before, n), getattr(self, n)))
            for n in others
        ]


def _values(before: object, now: object) -> str:
    """Return both values of a setting in words, or an empty string if they are too long to be helpful."""
    words = f" ({before} there, {now} now)"
    return words if len(words) <= _LONGEST_WORDS else ""
