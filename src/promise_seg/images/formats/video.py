"""Videos as stacks of frames: MP4, MOV, AVI, MKV and WebM, in 8 bits."""

import math
from copy import copy
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from promise_seg.arrays import Array, Uint8Array
from promise_seg.images.formats.pictures import NEARLY_GREY
from promise_seg.images.formats.source import Source
from promise_seg.images.formats.video_frames import facts_of, next_frame, open_capture
from promise_seg.images.formats.volume import refuse_axis
from promise_seg.vocabulary import Axis, OutputFormat

_KEPT_BYTES = 2**28
_STILL = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx ", b"jxl ")
"""Brands of files in the MP4 container that are still images."""


class Video(Source):
    """The frames of a video, turned upright as the file states, as the slices of a stack.

    Frames are decoded from the beginning, so reading them in order is fast; small videos are kept in memory.
    """

    kind = "video"
    suffixes = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
    signatures = (
        (4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide"), (0, b"\x1a\x45\xdf\xa3"), (8, b"AVI "),
    )  # fmt: skip
    is_volume = is_in_time = True

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        refuse_axis(path, axis)
        self.path, self._facts, self._every = path, facts_of(path), 1
        self.turned = self._facts.turned
        self._lock = Lock()
        self._kept: dict[int, Uint8Array] = {}
        self._capture: Any = None
        self._next = 0

    @classmethod
    def has_signature(cls, head: bytes) -> bool:
        """Whether the first bytes are those of a video, not of a still image in the same container."""
        return super().has_signature(head) and not (head[4:8] == b"ftyp" and head[8:12] in _STILL)

    def thinned(self, every: int) -> "Source":
        video = copy(self)
        video._every, video._lock, video._kept, video._capture = every, Lock(), {}, None
        return video

    def number_of(self, index: int) -> int:
        return index * self._every

    @property
    def incomplete(self) -> str | None:
        return self._facts.note

    def __len__(self) -> int:
        return math.ceil(self._facts.count / self._every)

    def values(self, index: int) -> Array:
        with self._lock:
            number = self.number_of(index)
            frame = self._kept.get(number)
            if frame is None:
                frame = self._kept[number] = self._decoded(number)
                while sum(kept.nbytes for kept in self._kept.values()) > max(_KEPT_BYTES, frame.nbytes):
                    del self._kept[next(iter(self._kept))]
            return frame

    def _decoded(self, number: int) -> Uint8Array:
        """Decode a frame; the file is closed after the last frame."""
        if self._capture is None or number < self._next:
            self._close()
            self._capture, self._next = open_capture(self.path), 0
        while self._next < number:
            self._capture.grab()
            self._next += 1
        frame = next_frame(self.path, self._capture, self._facts)
        self._next += 1
        if self._next + self._every > self._facts.count:
            self._close()
        return frame

    def _close(self) -> None:
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def as_stored(self, index: int) -> Array:
        """Return labels (H, W) if the three channels are nearly equal; otherwise colours (H, W, 3)."""
        frame = self.values(index)
        if frame.ndim == 3 and (frame.max(2) - frame.min(2)).max() <= NEARLY_GREY:
            return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
        return frame

    def differs_by(self, index: int) -> dict[str, object]:
        """Also record the orientation, as for images."""
        facts: dict[str, object] = {"slice": self.number_of(index)}
        return facts if self.turned == 1 else facts | {"turned": self.turned}

    def output_formats(self) -> list[OutputFormat]:
        return super().output_formats() if self._every == 1 else [OutputFormat.PNG]
