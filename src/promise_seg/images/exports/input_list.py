"""A list of images that takes little more memory than their names have bytes, for lists of millions."""

import itertools
import os
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import Input, key_of

_ERRORS = sys.getfilesystemencodeerrors()  # so that any name that a system has can be encoded


_AT_ONCE = 4096


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", _ERRORS)


class _Names:
    """The names of images, one after the other. An image that is more than one file is kept as it is."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("Q", [0])
        self._stems = array("I")  # where each begins in its name
        self._lengths = array("I")  # of the stems
        self._roots = array("I")
        self._folders: list[Path] = []
        self._numbers: dict[Path, int] = {}  # of those folders
        self._root, self._number = Path(), -1  # the one that was added last
        self.whole: dict[int, Input] = {}
        self.widest = 1
        """The length of the longest stem, in bytes."""

    def __len__(self) -> int:
        return len(self._stems)

    def add(self, one: Input) -> None:
        name = str(one.path)
        if one.files or one.beside or one.below or one.stem not in name or type(one.path) is not type(Path()):
            self.whole[len(self)] = one
        self.add_file(name, one.stem, one.root)

    def add_file(self, name: str, stem: str, root: Path) -> None:
        if root is not self._root:
            self._root, self._number = root, self._numbers.setdefault(root, len(self._folders))
            if self._number == len(self._folders):
                self._folders.append(root)
        encoded = _encoded(name)
        self._text += encoded
        self._ends.append(len(self._text))
        self._stems.append(max(name.rfind(stem), 0))
        self._lengths.append(len(stem))
        self._roots.append(self._number)
        self.widest = max(self.widest, len(stem) if stem.isascii() else len(_encoded(stem)))

    def name(self, place: int) -> str:
        if place in self.whole:
            return self.whole[place].name
        return self._path(place)

    def stem(self, place: int) -> str:
        if place in self.whole:
            return self.whole[place].stem
        start = self._stems[place]
        return self._path(place)[start : start + self._lengths[place]]

    def _path(self, place: int) -> str:
        return self._text[self._ends[place] : self._ends[place + 1]].decode("utf-8", _ERRORS)

    def input(self, place: int) -> Input:
        if place in self.whole:
            return self.whole[place]
        return Input(Path(self.name(place)), self.stem(place), root=self._folders[self._roots[place]])


class InputList(Sequence[Input]):
    """Images and volumes, each of which is made into an object when it is asked for.

    Args:
        inputs: the images.
    """

    def __init__(self, inputs: Iterable[Input] = ()) -> None:
        self._names = _Names()
        for one in inputs:
            self._names.add(one)
        self._places: NDArray[np.uint32] = np.arange(len(self._names), dtype=np.uint32)
        self._folder = ("", "")  # the one that was asked for last, and where it is without links

    @classmethod
    def of(cls, inputs: Iterable[Input]) -> "InputList":
        """Return images as such a list, if they are none yet."""
        return inputs if isinstance(inputs, InputList) else cls(inputs)

    @classmethod
    def of_files(cls, root: Path, files: Iterable[tuple[str, str]]) -> "InputList":
        """Return images that are a file each, without an object of any.

        Args:
            root: the folder that the user passed.
            files: name and stem of each; the stem is in the name.
        """
        found = cls()
        for name, stem in files:
            found._names.add_file(name, stem, root)
        return found._of_places(np.arange(len(found._names), dtype=np.uint32))

    def _of_places(self, places: NDArray[np.uint32]) -> "InputList":
        found = InputList()
        found._names, found._places = self._names, places
        return found

    @overload
    def __getitem__(self, index: int) -> Input: ...
    @overload
    def __getitem__(self, index: slice) -> "InputList": ...
    def __getitem__(self, index: int | slice) -> "Input | InputList":
        """One image, or a list of some of them, which shares the names."""
        if isinstance(index, slice):
            return self._of_places(self._places[index])
        return self._names.input(int(self._places[index]))

    def __len__(self) -> int:
        """The number of images."""
        return len(self._places)

    def chosen(self, numbers: NDArray[Any]) -> "InputList":
        """Return some of the images, by their numbers from 0 or by a truth value for each."""
        return self._of_places(self._places[numbers])

    def by_stem(self) -> "InputList":
        """Return the images in the order of their stems."""
        stems = np.zeros(len(self), f"S{self._names.widest}")
        for number, stem in enumerate(self.stems()):
            stems[number] = _encoded(stem)  # whose order is that of the text
        return self.chosen(np.argsort(stems, kind="stable"))

    @property
    def have_own_stems(self) -> bool:
        """Whether no two images have the same stem, as far as that can be told by hashes of stems."""
        hashes = np.fromiter(map(hash, self.stems()), np.int64, len(self))
        hashes.sort()
        return not bool((hashes[1:] == hashes[:-1]).any())

    def stem(self, number: int) -> str:
        """Return the stem of an image."""
        return self._names.stem(self._places.item(number))

    def stems(self) -> Iterator[str]:
        """Yield the stem of each image."""
        return map(self._names.stem, self._each())

    def names(self) -> Iterator[str]:
        """Yield the name of each image."""
        return map(self._names.name, self._each())

    def _each(self) -> Iterator[int]:
        return (
            place
            for start in range(0, len(self), _AT_ONCE)
            for place in self._places[start : start + _AT_ONCE].tolist()
        )

    def key(self, number: int) -> str:
        """Return the key of an image; where the links to a folder lead is looked up once for what follows in it."""
        name = self._names.name(self._places.item(number))
        folder, separator, last = name.rpartition(os.sep)
        if not separator or last in ("", ".."):
            return key_of(name)
        if folder != self._folder[0]:
            self._folder = folder, key_of(name).removesuffix(last)
        return f"{self._folder[1]}{last}"

    def keys(self) -> Iterator[str]:
        """Yield the key of each image."""
        return map(self.key, range(len(self)))

    def have_states(
        self, numbers: NDArray[np.intp], sizes: NDArray[np.int64], changes: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return of images (N) whether each is one file of a size, in bytes (N), and a time of change, in ns (N)."""
        states = zip(numbers.tolist(), sizes.tolist(), changes.tolist(), strict=True)
        return np.fromiter(itertools.starmap(self._is_file_of, states), bool, len(numbers))

    def _is_file_of(self, number: int, size: int, changed: int) -> bool:
        place = self._places.item(number)
        if place not in self._names.whole:
            try:
                found = os.stat(self._names.name(place))  # noqa: PTH116
                if found.st_size == size and found.st_mtime_ns == changed:
                    return True
            except (OSError, ValueError):
                return False
        return self.has_state(number, [[size, changed]])

    def has_state(self, number: int, state: list[list[int]]) -> bool:
        """Whether the sizes and times of change of an image's files are those that :meth:`Input.state` returned once.

        It is not looked into files: if the only one of an image has not changed, no other has come to it.
        """
        place = int(self._places[number])
        try:
            if place not in self._names.whole and len(state) == 1:
                found = os.stat(self._names.name(place))  # noqa: PTH116
                if state == [[found.st_size, found.st_mtime_ns]]:
                    return True
            return self._names.input(place).state() == state
        except (OSError, ValueError, ImageError):
            return False
