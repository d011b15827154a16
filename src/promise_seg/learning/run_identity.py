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
    """Kept in the state of a run and in its ``settings.json``.

    What an earlier version wrote is read with the defaults of all settings and options that came later.

    Args:
        settings: of training.
        data_sha256: hash of the train and val rows, in whatever order.
        order_sha256: hash of their order, which decides what a batch holds.
        sam_sha256: hash of the weights of the SAM.
        image_size: side of its model frame, in pixels.
        reading: how the files of the rows are read.
        init_sha256: hash of the model that it started from; ``None``, and not written, where there was none.
        store_precision: of the features that it learned from; not written where it is half precision, as before.
        encoder_precision: how exactly the SAM encoded; not written where it is single precision, as before.
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
            settings: of training.
            rows: train rows, then val rows.
            sam: that is trained around.
            init_sha256: hash of the model that it starts from, if it does.
            store_precision: of the features that it learns from.
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
        """Return in words what was otherwise before."""
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
    """Return both values of a setting in words, unless they are too long to be of help."""
    words = f" ({before} there, {now} now)"
    return words if len(words) <= _LONGEST_WORDS else ""
