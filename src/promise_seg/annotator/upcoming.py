"""The order of encoding ahead: the opened image, the neighbours of viewed slices, then the other images."""

from collections import deque
from threading import Lock

from promise_seg.annotator.catalogue import Catalogue

MOST_AHEAD = 200
"""The number of images that are encoded before they are opened."""


def middle(slices: int) -> int:
    """Return the index of the middle slice, which the thumbnail shows and whose trust score is that of the image."""
    return (slices - 1) // 2


class Upcoming:
    """The order in which slices are encoded ahead.

    Args:
        catalogue: the images of the project.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue, self._lock = catalogue, Lock()
        self._slices: deque[tuple[int, int]] = deque(maxlen=4)
        self._asked: set[tuple[int, int]] = set()
        self._done: set[int] = set()
        self._opened: set[int] = set()
        self._current = 0
        self._shown: tuple[int, int] | None = None

    def opened(self, number: int) -> None:
        """Record that an image was opened. It is encoded next, because its features may no longer be in memory."""
        slices = int(self._catalogue.row(number)["slices"])
        with self._lock:
            self._current = number
            self._shown = number, middle(slices)
            self._opened.add(number)

    def looked_at(self, number: int, index: int) -> None:
        """Record that a slice was viewed. Its neighbours are encoded next."""
        count = int(self._catalogue.row(number)["slices"])
        with self._lock:
            self._slices.extend((number, other) for other in (index - 1, index + 1) if 0 <= other < count)

    def note_done(self, number: int) -> None:
        """Record that an image was encoded."""
        with self._lock:
            self._done.add(number)

    def is_done(self, number: int) -> bool:
        """Whether an image was encoded."""
        with self._lock:
            return number in self._done

    def again(self) -> None:
        """Start again with all images, for example for another model."""
        with self._lock:
            self._asked.clear()
            self._done.clear()

    def next(self) -> tuple[int, int] | None:
        """Return the number of the next image to encode and the index of its slice; ``None`` if there is none.

        A slice is returned only once, except the middle slice of an image each time that the image is opened.
        """
        numbers = self._catalogue.numbers
        with self._lock:
            if (shown := self._shown) is not None:
                self._shown = None
                self._asked.add(shown)
                return shown
            while self._slices:
                if (found := self._slices.pop()) not in self._asked:
                    self._asked.add(found)
                    return found
            asked = {number for number, _ in self._asked}
            if len(asked - self._opened) >= MOST_AHEAD:
                return None
            for number in [n for n in numbers if n >= self._current] + [n for n in numbers if n < self._current]:
                if number not in asked:
                    found = number, middle(int(self._catalogue.row(number)["slices"]))
                    self._asked.add(found)
                    return found
        return None
