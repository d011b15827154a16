"""Write the masks drawn from annotations to a folder next to the manifest, completely or not at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from promise_seg.arrays import Uint16Array
from promise_seg.errors import PromiseError
from promise_seg.images.formats.kinds import stem_of
from promise_seg.images.formats.source import Source
from promise_seg.storage.files import write_json, write_whole

MARK = "import.json"
"""The file that identifies a folder written by this program, and records what its masks were imported from."""
_FOREGROUND = 255


def refuse_foreign_folder(folder: Path) -> None:
    """Check that a folder does not exist, or was written by ``promise data import`` and may be replaced.

    Raises:
        PromiseError: if it is another folder.
    """
    if (folder.exists() or folder.is_symlink()) and not (folder / MARK).is_file():
        raise PromiseError(
            f"{folder}: already exists, and is not a folder of masks of promise data import. Move it away, or choose "
            "another -o"
        )


def folder_name(class_name: str) -> str:
    """Return the name of a class as a folder name that is valid on every system."""
    plain = re.sub(r"[^\w-]+", "_", class_name).strip("_")
    return plain or "class"


def distinct(names: Sequence[str]) -> list[str]:
    """Return file names that differ in more than case: a number is appended to names that are already taken."""
    taken, found = set[str](), list[str]()
    for name in names:
        free, number = name, 1
        while free.casefold() in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free.casefold())
        found.append(free)
    return found


@dataclass
class MaskFolder:
    """A folder of masks that is written to ``temporary`` and later moved to ``path``.

    Masks are named after their images, and in the same subfolders as the images below ``root``.
    """

    path: Path
    temporary: Path
    root: Path
    notes: list[str] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)

    def write(self, labels: Uint16Array, source: Source, below: str = "", *, is_binary: bool = False) -> Path:
        """Write a map (N, H, W), and return its final path.

        Volumes are written as NIfTI, or as TIFF if their slices have no positions; other maps as PNG with 16 bits, or
        with 8 bits and the values 0 and 255 if binary.

        Raises:
            ImageError: if a volume cannot be written in a way that can be read back.
            PromiseError: if the file cannot be written.
        """
        is_stack = source.is_volume and source.frame is None and not source.slices_have_places
        suffix = ".tif" if is_stack else ".nii.gz" if source.is_volume else ".png"
        place = PurePosixPath(below) / self._place(source.path, below, suffix)
        path = self.temporary / place
        if source.is_volume:
            self._write_volume(labels, source, path)
        else:
            values = np.where(labels[0] > 0, _FOREGROUND, 0).astype(np.uint8) if is_binary else labels[0]
            picture = Image.fromarray(np.ascontiguousarray(values))
            write_whole(path, lambda p: picture.save(p, format="PNG"))
        return self.path / place

    def _place(self, image: Path, below: str, suffix: str) -> str:
        is_inside = image.is_relative_to(self.root) and image != self.root and ".." not in image.parts
        inside = image.relative_to(self.root) if is_inside else Path(image.name)
        name = inside.with_name(stem_of(image)).as_posix()
        free = next(
            one for one in (name, inside.as_posix(), *(f"{name}_{number}" for number in range(2, 2**16)))
            if f"{below}/{one}".casefold() not in self._taken
        )  # fmt: skip
        self._taken.add(f"{below}/{free}".casefold())
        return free + suffix

    def _write_volume(self, labels: Uint16Array, source: Source, path: Path) -> None:
        from promise_seg.prediction.labelled import Labelled, LabelledSlice  # they import torch
        from promise_seg.prediction.outputs.nifti import write_nifti
        from promise_seg.prediction.outputs.pictures import write_tiff

        names = {int(value): str(value) for value in np.unique(labels) if value} or {1: "1"}
        slices = tuple(LabelledSlice(one, {}) for one in labels)
        labelled = Labelled(source, slices, names, is_binary=False, separate_objects=False)
        if path.suffix == ".tif":
            write_tiff(labelled, path)
            return
        note = write_nifti(labelled, path)
        if note is not None and note not in self.notes:
            self.notes.append(note)

    def finish(self, facts: dict[str, object], classes: dict[str, int] | None) -> None:
        """Write the origin of the masks and, unless they are instance maps, the numbers of their classes."""
        write_json(self.temporary / MARK, facts)
        if classes is not None:
            write_json(self.temporary / "classes.json", classes)
