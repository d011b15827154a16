"""A cache of recently made arrays, so that a large image is not read again for each of its tiles."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from promise_seg.arrays import Array


class RecentArrays:
    """The most recently used arrays, up to a total size. Threads may share an instance.

    Args:
        most_bytes: maximum total size of the arrays, in bytes.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most, self._held = most_bytes, 0
        self._arrays: OrderedDict[Hashable, Array] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Array], part: tuple[slice, ...] = ()) -> Array:
        """Return a copy of the array of a key, or of a part of it; the array is made if it is not in the cache."""
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
