"""A list of paths that takes little more memory than they have bytes, for folders of millions of files."""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

_TOGETHER = 1000
_BETWEEN = b"\0"  # which no path has


class PathList:
    """Paths that are put into it one by one."""

    def __init__(self) -> None:
        self._packed: deque[bytes] = deque()
        self._last: list[bytes] = []
        self._count = 0

    def append(self, path: Path) -> None:
        """Put a path into the list."""
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
        """Yield each path as text while the list is emptied, so that what is made of them may take the place of it."""
        self._pack()
        self._count = 0
        while self._packed:
            yield from map(os.fsdecode, self._packed.popleft().split(_BETWEEN))
