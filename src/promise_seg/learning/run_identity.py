"""The identity of a run: an interrupted run resumes only with the same identity."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from promise_seg.arguments import option_name
from promise_seg.dataset.checks import CheckedRow, data_sha256
from promise_seg.images.reading import KeptReading, Reading, ReadingOptions
from promise_seg.learning.settings import APM_PREFIX, OPTIONS, RecordedSettings, TrainSettings
from promise_seg.sam.backbone import Backbone
from promise_seg.vocabulary import EncoderPrecision, MaskKind, StorePrecision

_NOT_OPTIONS = {"data_sha256": "data", "order_sha256": "order of rows"}
_LONGEST_WORDS = 60


class RunIdentity(BaseModel):
    """The facts that identify a run, stored in its state and in its ``settings.json``.

    Records of earlier versions lack the settings and options that were added later; these get the values that reproduce
    the training of before.

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

    settings: RecordedSettings
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
        """Return a description of each difference from an earlier identity, by the options of its user.

        Settings that are no options are described only if nothing else differs; options that follow from another one
        are described with it.
        """
        changed = list(_changed_options(before.settings, self.settings))
        for name, value in self:
            known = getattr(before, name)
            if name == "settings" or value == known:
                continue
            if name == "reading":
                changed.append(f"how files are read ({_options_of(known)} there, {_options_of(value)} now)")
            elif name.endswith("sha256"):
                changed.append(_NOT_OPTIONS.get(name) or option_name(name.removesuffix("_sha256")))
            else:
                changed.append(option_name(name) + _values(known, value))
        return changed or [
            f"{name}{_values(getattr(before.settings, name), value)}"
            for name, value in self.settings
            if value != getattr(before.settings, name)
        ]


def _changed_options(before: TrainSettings, now: TrainSettings) -> Iterator[str]:
    """Yield a description of each option of a training that differs."""
    for name in ("protocol", *OPTIONS):
        known, value = getattr(before, name), getattr(now, name)
        if known != value:
            yield option_name(OPTIONS.get(name, name)) + _values(known, value)
    if (before.apm, before.has_apm) != (now.apm, now.has_apm):
        return  # each has options of its own
    for name in sorted(before.apm_options | now.apm_options):
        known, value = before.apm_options.get(name, "default"), now.apm_options.get(name, "default")
        if known != value:
            yield option_name(APM_PREFIX + name) + _values(known, value)


def _options_of(reading: Reading) -> str:
    """Return the options that read files in this way, as on the command line."""
    words = ReadingOptions.that_give(reading).arguments
    if reading.masks == MaskKind.CLASSES and reading.label is None:
        words += ["--class", "all"]
    return " ".join(words) or "no options"


def _values(before: object, now: object) -> str:
    """Return both values of a setting in words, or an empty string if they are too long to be helpful."""
    words = f" ({before} there, {now} now)"
    return words if len(words) <= _LONGEST_WORDS else ""
