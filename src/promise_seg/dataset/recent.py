"""Arrays that were made last, so that the tiles of an image are not each cut out of a whole image that is read anew."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from promise_seg.arrays import Array


class RecentArrays:
    """The arrays that were asked for last, as many as fit into memory; threads may share it.

    Args:
        most_bytes: of all arrays together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most, self._held = most_bytes, 0
        self._arrays: OrderedDict[Hashable, Array] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Array], part: tuple[slice, ...] = ()) -> Array:
        """Return a copy of the array of a key, made if it is not held, or of a part of it."""
        with self._lock:
            found = self._arrays.get(key)
            if found is not None:
                self._arrays.move_to_end(key)
                return found[part].copy()
        made = make()
        with self._lock:
            if key not in self._arrays and made.nbytes <= self._most:
                self._arrays[key] = made if part else made.copy()
                self._held += made.nbytes
                while self._held > self._most:
                    _, oldest = self._arrays.popitem(last=False)
                    self._held -= oldest.nbytes
        return made[part].copy() if part else made
