"""A compact list of images for millions of them: it needs little more memory than the bytes of their names."""

import itertools
import operator
import os
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import Input, key_of

_ERRORS = sys.getfilesystemencodeerrors()  # lets any name that a system allows be encoded
_BLOCK_BITS = 12  # a block of bytes has the names of 2 ** 12 images
_AT_ONCE = 1 << _BLOCK_BITS
_MOST_FOLDERS = 1 << 14


def encoded(text: str) -> bytes:
    """Return a name as bytes.

    Raises:
        UnicodeEncodeError: if no file can have this name.
    """
    return text.encode("utf-8", _ERRORS)


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", _ERRORS)


class _Names:
    """The names of images, concatenated. An image of more than one file is kept as an object.

    Consecutive images in the same folder share the record of their folder.
    """

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._open: list[bytes] = []  # the names of the last block
        self._size = 0  # of these names, in bytes
        self._starts, self._lengths = array("I"), array("I")  # of names in their blocks, in bytes
        self._stem_starts, self._stem_lengths = array("I"), array("I")  # of stems in their names, in bytes
        self._folders = array("I")  # the numbers of their folders
        self._befores = array("I")  # for each folder: the length of a name before the file name, in bytes
        self._roots = array("I")  # for each folder: the number of the folder that the user passed
        self._passed: list[Path] = []
        self._numbers: dict[Path, int] = {}  # of the folders that the user passed
        self._last: tuple[str, Path] | None = None  # the folder that was added last
        self.whole: dict[int, Input] = {}
        self.widest = 1
        """The length of the longest stem, in bytes."""

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, one: Input) -> None:
        name = str(one.path)
        if one.files or one.beside or one.below or one.stem not in name or type(one.path) is not type(Path()):
            self.whole[len(self)] = one
        self.add_file(name, one.stem, one.root)

    def add_file(self, name: str, stem: str, root: Path) -> None:
        folder, separator, last = name.rpartition(os.sep)
        before = f"{folder}{separator}" if last not in ("", "..") else ""
        if self._last != (before, root):
            self._last = before, root
            self._befores.append(len(encoded(before)))
            self._roots.append(self._numbers.setdefault(root, len(self._passed)))
            if self._roots[-1] == len(self._passed):
                self._passed.append(root)
        whole, part = encoded(name), encoded(stem)
        self._starts.append(self._size)
        self._lengths.append(len(whole))
        start = whole.rfind(part)
        self._stem_starts.append(start if start > 0 else 0)
        self._stem_lengths.append(len(part))
        self._folders.append(len(self._befores) - 1)
        if len(part) > self.widest:
            self.widest = len(part)
        self._open.append(whole)
        self._size += len(whole)
        if len(self._open) == _AT_ONCE:
            self.end()

    def end(self) -> None:
        """End the block, because it is full or all names were added."""
        if self._open:
            self._blocks.append(b"".join(self._open))
            self._open, self._size = [], 0

    def name(self, place: int) -> str:
        return self.whole[place].name if place in self.whole else self._path(place)

    def _path(self, place: int) -> str:
        start = self._starts[place]
        return _decoded(self._blocks[place >> _BLOCK_BITS][start : start + self._lengths[place]])

    def stem(self, place: int) -> str:
        return self.whole[place].stem if place in self.whole else _decoded(self._stem(place))

    def _stem(self, place: int) -> bytes:
        start = self._starts[place] + self._stem_starts[place]
        return self._blocks[place >> _BLOCK_BITS][start : start + self._stem_lengths[place]]

    def input(self, place: int) -> Input:
        if place in self.whole:
            return self.whole[place]
        root = self._passed[self._roots[self._folders[place]]]
        return Input(Path(self._path(place)), self.stem(place), root=root)

    def stems(self, places: NDArray[np.uint32]) -> list[bytes]:
        """Return stems as bytes, several times faster than one by one."""
        starts = np.asarray(self._starts)[places] + np.asarray(self._stem_starts)[places]
        return self.with_whole(
            self._cut(places, starts, starts + np.asarray(self._stem_lengths)[places]), places, self.stem
        )

    def names(self, places: NDArray[np.uint32]) -> list[bytes]:
        """Return names as bytes."""
        starts = np.asarray(self._starts)[places]
        return self.with_whole(self._cut(places, starts, starts + np.asarray(self._lengths)[places]), places, self.name)

    def by_folder(self, places: NDArray[np.uint32]) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield folders, each with the file names of consecutive images in it; empty for names without a folder.

        For images of more than one file, the path is used as the name.
        """
        folders = np.asarray(self._folders)[places]
        starts = np.asarray(self._starts)[places]
        inside = starts + np.asarray(self._befores)[folders]
        lasts = self._cut(places, inside, starts + np.asarray(self._lengths)[places])
        bounds = [0, *(np.flatnonzero(np.diff(folders)) + 1).tolist(), len(places)]
        for begin, end in itertools.pairwise(bounds):
            if begin < end:
                block = self._blocks[int(places[begin]) >> _BLOCK_BITS]
                yield block[int(starts[begin]) : int(inside[begin])], lasts[begin:end]

    def _cut(self, places: NDArray[np.uint32], starts: NDArray[Any], ends: NDArray[Any]) -> list[bytes]:
        blocks, numbers = self._blocks, (places >> _BLOCK_BITS).tolist()
        bounds = zip(numbers, starts.tolist(), ends.tolist(), strict=True)
        return [blocks[number][start:end] for number, start, end in bounds]

    def with_whole(self, found: list[bytes], places: NDArray[np.uint32], instead: Callable[[int], str]) -> list[bytes]:
        """Replace the entries of images of more than one file by the values of ``instead``."""
        if self.whole:
            for number, place in enumerate(places.tolist()):
                if place in self.whole:
                    found[number] = encoded(instead(place))
        return found


class InputList(Sequence[Input]):
    """A list of images and volumes that creates an object for an image only when it is accessed.

    Args:
        inputs: the images.
    """

    def __init__(self, inputs: Iterable[Input] = ()) -> None:
        self._names = _Names()
        for one in inputs:
            self._names.add(one)
        self._names.end()
        self._places: NDArray[np.uint32] = np.arange(len(self._names), dtype=np.uint32)
        self._without_links: dict[bytes, bytes] = {}  # a cache of resolved folders

    @classmethod
    def of(cls, inputs: Iterable[Input]) -> "InputList":
        """Return images as a list of this class, unchanged if they already are one."""
        return inputs if isinstance(inputs, InputList) else cls(inputs)

    @classmethod
    def of_files(cls, root: Path, files: Iterable[tuple[str, str]]) -> "InputList":
        """Return images of one file each, without creating an object for any of them.

        Args:
            root: the folder that the user passed.
            files: name and stem of each image; the stem is a part of the name.
        """
        found = cls()
        for name, stem in files:
            found._names.add_file(name, stem, root)
        found._names.end()
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
        """Return an image, or a list of some images that shares the names."""
        if isinstance(index, slice):
            return self._of_places(self._places[index])
        return self._names.input(int(self._places[index]))

    def __len__(self) -> int:
        """The number of images."""
        return len(self._places)

    def chosen(self, numbers: NDArray[Any]) -> "InputList":
        """Return some of the images, chosen by their numbers from 0 or by a boolean mask (N,)."""
        return self._of_places(self._places[numbers])

    def by_stem(self) -> "InputList":
        """Return the images, sorted by stem."""
        last = b""
        for stems in self._stems_in_blocks():
            if last > stems[0] or not all(map(operator.le, stems, stems[1:])):
                break
            last = stems[-1]
        else:
            return self
        stems_of_all = np.zeros(len(self), f"S{self._names.widest}")
        for begin, stems in zip(itertools.count(0, _AT_ONCE), self._stems_in_blocks()):
            stems_of_all[begin : begin + len(stems)] = stems  # bytes, which sort as the text does
        return self.chosen(np.argsort(stems_of_all, kind="stable"))

    @property
    def have_own_stems(self) -> bool:
        """Whether all stems differ, judged by their hashes: never true if two images have the same stem."""
        hashes = self.hashes()
        hashes.sort()
        return not bool((hashes[1:] == hashes[:-1]).any())

    def hashes(self) -> NDArray[np.int64]:
        """Return the :func:`hash` of the bytes of each image's stem: (N,)."""
        found = (hash(stem) for stems in self._stems_in_blocks() for stem in stems)
        return np.fromiter(found, np.int64, len(self))

    def stem(self, number: int) -> str:
        """Return the stem of an image."""
        return self._names.stem(self._places.item(number))

    def stems(self) -> Iterator[str]:
        """Yield the stem of each image."""
        return (_decoded(stem) for stems in self._stems_in_blocks() for stem in stems)

    def stems_of(self, numbers: NDArray[Any]) -> list[bytes]:
        """Return the stems of images as bytes, by their numbers."""
        return self._names.stems(self._places[numbers])

    def names(self) -> Iterator[str]:
        """Yield the name of each image."""
        return (_decoded(name) for places in self._blocks() for name in self._names.names(places))

    def _blocks(self) -> Iterator[NDArray[np.uint32]]:
        return (self._places[start : start + _AT_ONCE] for start in range(0, len(self), _AT_ONCE))

    def _stems_in_blocks(self) -> Iterator[list[bytes]]:
        return map(self._names.stems, self._blocks())

    def key(self, number: int) -> str:
        """Return the key of an image."""
        name = self._names.name(self._places.item(number))
        folder, separator, last = name.rpartition(os.sep)
        if not separator or last in ("", ".."):
            return key_of(name)
        return f"{_decoded(self._folder_of_keys(encoded(folder + separator)))}{last}"

    def keys(self) -> Iterator[str]:
        """Yield the key of each image."""
        return map(self.key, range(len(self)))

    def keys_of(self, numbers: NDArray[Any]) -> list[bytes]:
        """Return the keys of images as bytes, by their numbers."""
        return self._keys(self._places[numbers])

    def _keys(self, places: NDArray[np.uint32]) -> list[bytes]:
        found = list[bytes]()
        for folder, lasts in self._names.by_folder(places):
            if folder:
                before = self._folder_of_keys(folder)
                found += [before + last for last in lasts]
            else:
                found += [encoded(key_of(_decoded(last))) for last in lasts]
        return self._names.with_whole(found, places, lambda place: self._names.whole[place].key)

    def _folder_of_keys(self, folder: bytes) -> bytes:
        """Return the start of all keys in a folder; its links are resolved once for many images in it."""
        found = self._without_links.get(folder)
        if found is None:
            if len(self._without_links) >= _MOST_FOLDERS:
                self._without_links.clear()
            found = self._without_links[folder] = encoded(key_of(f"{_decoded(folder)}_")[:-1])
        return found

    def stems_and_keys(self) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """Yield the stems and the keys of a few thousand images at a time, as bytes."""
        return ((self._names.stems(places), self._keys(places)) for places in self._blocks())

    def by_folder(self, numbers: NDArray[Any]) -> list[tuple[bytes, list[bytes]]]:
        """Return the folders of images in order, each with the file names of consecutive images in it, as bytes.

        For images of more than one file, the path is used as the name.
        """
        return list(self._names.by_folder(self._places[numbers]))

    def are_several_files(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return for each of N images whether it may have more than one file."""
        if not self._names.whole:
            return np.zeros(len(numbers), bool)
        return np.fromiter((place in self._names.whole for place in self._places[numbers].tolist()), bool, len(numbers))

    def has_state(self, number: int, state: list[list[int]]) -> bool:
        """Whether the sizes and modification times of an image's files are those that :meth:`Input.state` returned.

        Files are not opened: if the only file of an image is unchanged, no other file can have been added to it.
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
