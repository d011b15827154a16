"""Estimate the cost of encoding from a few images before the work begins."""

import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from promise_seg.errors import PromiseError
from promise_seg.features.precision import packed
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, encode_one
from promise_seg.processes import most_memory
from promise_seg.progress import Progress, Stage, silent
from promise_seg.quantities import bytes_in_words, seconds_in_words
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.features import ALL_STAGES

MEASURED = 3
"""The number of images that are encoded for the estimate."""


@dataclass(frozen=True)
class EncodingPlan:
    """The views that remain to be encoded, and the time, disk space and memory that they need.

    Args:
        folder: folder of the store.
        device: device that encodes.
        views: number of views that are needed.
        encoded: number of missing views that were encoded and stored for the estimate.
        missing: number of views that are still missing.
        seconds_each, bytes_each: time and disk space for one view; 0 if nothing was missing.
        free_bytes: free space on the disk.
        memory_bytes: peak memory of this process, or of the GPU; ``None`` if it is unknown.
    """

    folder: Path
    device: str
    views: int
    encoded: int
    missing: int
    seconds_each: float
    bytes_each: float
    free_bytes: int
    memory_bytes: int | None

    @property
    def seconds(self) -> float:
        """The time for all missing views."""
        return self.missing * self.seconds_each

    @property
    def bytes(self) -> float:
        """The disk space for all missing views."""
        return self.missing * self.bytes_each

    @property
    def words(self) -> str:
        """The plan in one line."""
        if not self.encoded and not self.missing:
            return f"features: all {self.views:,} views are in {self.folder}"
        memory = "" if self.memory_bytes is None else f", {bytes_in_words(self.memory_bytes)} of memory"
        return (
            f"features: {self.missing + self.encoded:,} of {self.views:,} views are to be encoded into {self.folder}: "
            f"about {seconds_in_words(self.seconds)} on {self.device} ({seconds_in_words(self.seconds_each)} each, "
            f"measured on {self.encoded}), {bytes_in_words(self.bytes)} of disk ({bytes_in_words(self.bytes_each)} "
            f"each; {bytes_in_words(self.free_bytes)} are free){memory}"
        )

    def check_space(self) -> None:
        """Check that the disk has enough space before hours of work.

        Raises:
            PromiseError: if the space is not enough; the message says how to save space.
        """
        if self.bytes > self.free_bytes:
            raise PromiseError(
                f"{self.folder}: the features of {self.missing:,} views need {bytes_in_words(self.bytes)}, and "
                f"{bytes_in_words(self.free_bytes)} are free. Free space with promise features prune, name another "
                "--store, or give --store-precision int8 or fewer --views"
            )


def plan_encoding(
    samples: Sequence[Sample],
    sam: Backbone,
    store: FeatureStore,
    stages: Collection[int] = ALL_STAGES,
    progress: Progress = silent,
) -> EncodingPlan:
    """Find the views that are missing in a store, and encode and store the first few for an estimate.

    Args:
        samples: the views that are needed.
        sam: the SAM that encodes them; if its encoder is being trained, nothing is stored.
        store: the store.
        stages: the stages that are read.
        progress: called for each image that is encoded.

    Raises:
        PromiseError: if the store's disk is full.
    """
    distinct = {sample.key(sam): sample for sample in samples}  # unchanged views of one image are stored once
    missing = [] if sam.encoder_learns else [one for key, one in distinct.items() if not store.has(key, stages)]
    first = missing[:MEASURED]
    tick = Stage(progress, "measuring", len(first))
    seconds, size = [], 0
    for sample in first:
        started = time.perf_counter()
        features = encode_one(sample, sam, stages)
        store.put(sample.key(sam), features)
        seconds.append(time.perf_counter() - started)
        size = sum(tensor.nbytes for tensor in packed(features, store.precision).values())
        tick()
    usual = sorted(seconds[1:] or seconds)  # the first image is always slower
    return EncodingPlan(
        folder=store.folder,
        device=str(sam.device),
        views=len(distinct),
        encoded=len(first),
        missing=len(missing) - len(first),
        seconds_each=usual[len(usual) // 2] if usual else 0.0,
        bytes_each=float(size),
        free_bytes=_free_bytes(store.folder),
        memory_bytes=memory_bytes(sam.device),
    )


def _free_bytes(folder: Path) -> int:
    """Return the free bytes on the disk of a folder, which may not exist yet."""
    place = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    return shutil.disk_usage(place).free


def memory_bytes(device: torch.device) -> int | None:
    """Return the peak memory of this process, or of the GPU, in bytes; ``None`` if it is unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return most_memory()
