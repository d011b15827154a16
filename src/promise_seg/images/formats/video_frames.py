"""Decode videos frame by frame with OpenCV's FFmpeg.

It reports no errors, but stops at the first frame that it cannot decode, and it cannot seek reliably. Frames are
therefore counted by decoding, and reached from the beginning.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from promise_seg.arrays import Uint8Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.limits import check_size

_GREY = int.from_bytes(b"Y800", "little")
"""OpenCV's pixel format of 8-bit grey videos."""
_TURNS = {90: 6, 180: 3, 270: 8}
"""EXIF orientations by the clockwise rotation of frames in degrees, which OpenCV applies itself."""
_LEAST_LOST = 2


@dataclass(frozen=True)
class VideoFacts:
    """The number of frames that can be decoded, their shape (H, W) or (H, W, 3), and their orientation.

    ``stated`` is the number of frames in the file's header; some formats only estimate it.
    """

    count: int
    shape: tuple[int, ...]
    turned: int
    stated: int

    @property
    def note(self) -> str | None:
        """A note on missing frames; ``None`` if they are few enough for an estimate in the header."""
        if self.stated - self.count <= max(_LEAST_LOST, self.stated // 20):
            return None
        return (
            f"ends after {self.count} of {self.stated} frames, as a damaged or truncated video does; those are read. "
            "Copy it again from its source if the others matter"
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a video for decoding, without the messages that FFmpeg and OpenCV print about damaged videos.

    Raises:
        ImageError: if there is nothing to decode.
    """
    capture = open_capture(path)
    try:
        yield capture
    finally:
        capture.release()


def open_capture(path: Path) -> Any:
    """Return OpenCV's capture of a video, to be released by the caller.

    Raises:
        ImageError: if there is nothing to decode.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging: Any = getattr(cv2.utils, "logging", cv2)  # its place depends on the version of OpenCV
    level = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        # a relative name such as "concat:a" would be taken for one of FFmpeg's protocols
        capture = cv2.VideoCapture(os.fspath(path.absolute()), cv2.CAP_FFMPEG)
    finally:
        logging.setLogLevel(level)
    if not capture.isOpened():
        raise ImageError(
            f"{path}: damaged or truncated, or a video of a kind that cannot be decoded. Copy it again from its "
            "source, or convert it to MP4 with H.264"
        )
    return capture


def facts_of(path: Path) -> VideoFacts:
    """Decode a video once and count its frames.

    Raises:
        ImageError: if the video cannot be decoded, or its frames are too large.
    """
    state = path.stat()
    return _facts(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _facts(path: Path, modified: int, size: int) -> VideoFacts:
    del modified, size  # a changed file is decoded again
    with _opened(path) as capture:
        is_grey = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)) == _GREY
        sides = cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH
        check_size(path, (*(int(capture.get(side)) for side in sides), *(() if is_grey else (3,))))
        turned = _TURNS.get(round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360, 1)
        stated = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        is_read, frame = capture.read()
        if not is_read:
            raise ImageError(
                f"{path}: damaged, or a video of a kind that cannot be decoded: no frame of it can. Copy it again from "
                "its source, or convert it to MP4 with H.264"
            )
        count = 1
        while capture.grab():
            count += 1
    return VideoFacts(count, frame.shape[:2] if is_grey else frame.shape, turned, stated)


def next_frame(path: Path, capture: Any, facts: VideoFacts) -> Uint8Array:
    """Decode the next frame, as RGB or grey.

    Raises:
        ImageError: if the frame cannot be decoded, or its size differs from that of the first frame.
    """
    is_read, frame = capture.read()
    if not is_read or frame.shape[:2] != facts.shape[:2]:
        raise ImageError(f"{path}: damaged: a frame is missing or has another size. Copy it again from its source")
    if len(facts.shape) == 2:
        return np.ascontiguousarray(frame[..., 0])
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
