"""A compact list of paths for folders of millions of files: it needs little more memory than their bytes."""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

_TOGETHER = 1000
_BETWEEN = b"\0"  # a byte that no path contains


class PathList:
    """A list of paths that is filled one by one."""

    def __init__(self) -> None:
        self._packed: deque[bytes] = deque()
        self._last: list[bytes] = []
        self._count = 0

    def append(self, path: Path) -> None:
        """Add a path to the list."""
        self._last.append(os.fsencode(str(path)))
        self._count += 1
        if len(self._last) == _TOGETHER:
            self._pack()

    def _pack(self) -> None:
        if self._last:
            self._packed.append(_BETWEEN.join(self._last))
            self._last = []

    def __len__(self) -> int:
        """The number of paths."""
        return self._count

    def __iter__(self) -> Iterator[Path]:
        """Yield each path."""
        self._pack()
        for packed in tuple(self._packed):
            yield from map(Path, map(os.fsdecode, packed.split(_BETWEEN)))

    def taken(self) -> Iterator[str]:
        """Yield each path as text and empty the list meanwhile, which frees its memory for the result."""
        self._pack()
        self._count = 0
        while self._packed:
            yield from map(os.fsdecode, self._packed.popleft().split(_BETWEEN))
