"""Encode the next images and compute their proposals in the background, so that they open without delay.

This also computes the trust scores by which the list of images is ordered.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable

from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.segmenter import Segmenter

_LOG = logging.getLogger(__name__)
_NICENESS = 10
"""The niceness that is added to the thread on Linux, so that it gives way to requests of the page."""


class EncodeAhead:
    """A background thread that encodes one image after the other.

    Args:
        segmenter: the models that encode and propose.
        wanted: returns the number and the slice of the next image to encode; ``None`` if there is none.
        note_trust: called with the number of an image, a slice, and the trust score of its proposal.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        wanted: Callable[[], tuple[int, int] | None],
        note_trust: Callable[[int, int, float | None], object],
    ) -> None:
        self._segmenter, self._wanted, self._note_trust = segmenter, wanted, note_trust
        self._stopping, self._news = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="encode-ahead", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Make the thread ask again for the next image."""
        self._news.set()

    def stop(self) -> None:
        """Stop the thread after the image that is being encoded."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        if sys.platform == "linux":  # only there, each thread has its own priority
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
        while True:
            self._news.clear()
            if self._stopping.is_set():  # after the clear, which could otherwise drop the wake-up of stop()
                return
            target = self._wanted()
            if target is None:
                self._news.wait()
                continue
            try:
                self._note_trust(*target, self._segmenter.look_ahead(*target))
            except Refusal as refusal:  # for example of a changed image; whoever opens it gets the message
                _LOG.info("image %d: %s", target[0], refusal.message)
            except Exception:
                _LOG.warning("image %d cannot be encoded ahead", target[0], exc_info=True)
