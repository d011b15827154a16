"""The files that a project writes for other programs: masks, prompts, a manifest for training, and a COCO file."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from promise_seg.annotator.catalogue import ProjectImage
from promise_seg.annotator.database import not_stored
from promise_seg.annotator.mask_formats import can_be_trained_on
from promise_seg.annotator.mask_kinds import kind_of_masks
from promise_seg.annotator.objects import AnnotatedObject
from promise_seg.annotator.refusals import Refusal
from promise_seg.arrays import Uint16Array
from promise_seg.dataset.manifest_writing import path_from, slice_ranges
from promise_seg.errors import ImageError, PromiseError
from promise_seg.images.formats.source import Source
from promise_seg.images.guarding import guarded
from promise_seg.prediction.labelled import Labelled, LabelledSlice, Origin
from promise_seg.prediction.outputs.formats import formats_for, writer_of
from promise_seg.prediction.outputs.rle import encode_rle
from promise_seg.storage.files import write_json, write_text
from promise_seg.vocabulary import Axis, MaskKind, OutputFormat, Split

MANIFEST = "manifest.csv"
COCO = "exports/coco.json"
_SLICE = re.compile(r"\d{3,}\.png")
"""The names of the masks of a volume in projects of earlier versions, which wrote a folder of PNG files."""


@dataclass(frozen=True)
class ManifestEntry:
    """The manifest entry of an image.

    Args:
        image, split, mask, group: the cells of its rows; paths are relative to the project's folder.
        slices: the indices of the slices that were viewed before the image was accepted; ``None`` for all slices.
    """

    image: str
    split: str
    mask: str
    group: str
    slices: tuple[int, ...] | None = None

    def to_text(self) -> str:
        """Return the entry as text for the database."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "ManifestEntry":
        """Return the entry that :meth:`to_text` wrote."""
        value = json.loads(text)
        return cls(**value | {"slices": None if value["slices"] is None else tuple(value["slices"])})


class Place(NamedTuple):
    """The name of an image's files in the project, without a suffix, and its height and width in pixels."""

    stem: str
    height: int
    width: int


class AcceptedImage(NamedTuple):
    """An accepted image to export.

    Args:
        name: its name in the project.
        width, height: the size of each slice, in pixels.
        slices: the indices of the slices that were viewed or have objects; 0 for a single image.
        is_volume: whether it has several slices.
        objects: all objects of the image.
    """

    name: str
    width: int
    height: int
    slices: Sequence[int]
    is_volume: bool
    objects: Sequence[AnnotatedObject]


class Results:
    """Writes the files of a project next to its database.

    Args:
        folder: the folder of the project.
        names: the names of the classes by their labels.
        output: the file format of masks.
        instances: whether masks are instance maps, with a number for each object.
    """

    def __init__(
        self, folder: Path, names: Mapping[int, str], output: OutputFormat = OutputFormat.AUTO, *,
        instances: bool = False,
    ) -> None:  # fmt: skip
        self.folder, self.names, self.output, self.instances = folder, dict(names), output, instances

    @property
    def kind(self) -> MaskKind:
        """The kind of masks that the project writes by now."""
        return self.kind_of_mask(())

    def kind_of_mask(self, objects: Sequence[AnnotatedObject]) -> MaskKind:
        """Return the kind of the mask of an image with these objects."""
        return kind_of_masks(self.names, (one.label for one in objects), instances=self.instances)

    def write_masks(
        self,
        image: ProjectImage,
        place: Place,
        source: Source,
        objects: Sequence[AnnotatedObject],
        models: Mapping[int, str],
        planned: Callable[[str], object],
    ) -> str:
        """Write the masks and prompts of an accepted image; return the path of the masks, relative to the folder.

        Args:
            image: the image.
            place: the name of its files, and its size in pixels.
            source: the same image, opened.
            objects: all objects of the image.
            models: the names of the models by the numbers that objects refer to.
            planned: called with the path of the masks before they are written, if there is no such file yet.

        Raises:
            Refusal: if they cannot be written.
        """
        with storing():
            mask = self._write(image, place, self._labelled(place, source, objects), planned)
            write_json(self._prompts_file(place.stem), _prompts(image, objects, self.names, models))
        return mask

    def _prompts_file(self, stem: str) -> Path:
        return self.folder / "prompts" / f"{stem}.json"

    def remove_mask(self, mask: str) -> None:
        """Remove the masks of an image: a file, or a folder with a PNG for each slice, in which other files are kept.

        Raises:
            OSError: if a file cannot be removed.
        """
        path = self.folder / mask
        if path.is_dir() and not path.is_symlink():
            for file in path.iterdir():
                if _SLICE.fullmatch(file.name):
                    file.unlink()
            if not any(path.iterdir()):
                path.rmdir()
        else:
            path.unlink(missing_ok=True)

    def remove_prompts(self, stem: str) -> None:
        """Remove the file with the final prompts of an image.

        Raises:
            OSError: if the file cannot be removed.
        """
        self._prompts_file(stem).unlink(missing_ok=True)

    def _labelled(self, place: Place, source: Source, objects: Sequence[AnnotatedObject]) -> Labelled:
        slices, numbered = [], 0
        nothing = Origin(np.zeros((0, 2), np.float32), np.zeros(0, np.int64), 0.0)
        origins = dict.fromkeys(self.names, nothing)
        for index in range(len(source)):
            inside = [one for one in objects if one.slice == index]
            if self.instances:
                labels = instance_map(inside, place.height, place.width, numbered)
                numbered = max(numbered, int(labels.max(initial=0)))
                slices.append(LabelledSlice(labels, origins, objects=()))
            else:
                slices.append(LabelledSlice(label_map(inside, place.height, place.width), origins))
        is_binary = self.kind_of_mask(objects) != MaskKind.CLASSES
        return Labelled(source, tuple(slices), self.names, is_binary, separate_objects=False)

    def _write(self, image: ProjectImage, place: Place, labelled: Labelled, planned: Callable[[str], object]) -> str:
        source = labelled.source
        possible = formats_for(source, self.output, self.instances)
        formats = [one for one in possible if can_be_trained_on(source, one)]
        for output in formats:
            writer = writer_of(output)
            path = self.folder / "masks" / f"{place.stem}{writer.suffix}"
            mask = path.relative_to(self.folder).as_posix()
            if not path.exists():  # another file there is not to be removed if writing fails
                planned(mask)
            try:
                with guarded(image.input.name, f"written as {output}"):
                    writer.write(labelled, path)
            except ImageError:
                if output == formats[-1]:
                    raise
            else:
                return mask
        raise ImageError(
            f"{image.input.name}: its masks cannot be trained on in the format {self.output}. Choose another --format"
        )

    def manifest_entry(self, image: ProjectImage, mask: str, slices: Sequence[int] | None) -> ManifestEntry:
        """Return the manifest entry of an image with its mask and the slices that were viewed."""
        path, row = path_from(self.folder, image.input.path), image.row
        split = Split.TRAIN if row is None else row.split
        group = path if row is None or row.group == str(row.image) else row.group
        return ManifestEntry(path, str(split), mask, group, None if slices is None else tuple(slices))

    def write_manifest(self, images: Sequence[ManifestEntry]) -> None:
        """Write the manifest of all accepted images, as ``promise train`` takes it.

        Raises:
            PromiseError: if it cannot be written.
        """
        write_text(self.folder / MANIFEST, manifest_text(images))

    def write_coco(self, images: Sequence[AcceptedImage], axis: Axis) -> dict[str, Any]:
        """Write all objects of accepted images to a COCO file; return the name of the file and its counts.

        Each slice of a volume is an image of its own, named ``<file>#<slice>``, with the ``axis`` that the project cuts
        volumes along. Objects are in the order in which :func:`label_map` draws them, so a program that draws later
        objects on top gets the same masks.

        Raises:
            Refusal: if it cannot be written.
        """
        content: dict[str, Any] = {
            "info": {"description": "Annotated with promise-seg"}, "images": [], "annotations": [],
            "categories": [{"id": label, "name": name} for label, name in sorted(self.names.items())],
        }  # fmt: skip
        for image in images:
            place = {"width": image.width, "height": image.height} | ({"axis": str(axis)} if image.is_volume else {})
            for index in image.slices:
                number = len(content["images"]) + 1
                file_name = f"{image.name}#{index}" if image.is_volume else image.name
                content["images"].append({"id": number, "file_name": file_name, **place})
                for one in _drawing_order(image.objects):
                    if one.slice == index and not one.mask.is_empty:
                        fields = _annotation(one, image.height, image.width)
                        key = len(content["annotations"]) + 1
                        content["annotations"].append({"id": key, "image_id": number, **fields})
        with storing():
            write_json(self.folder / COCO, content)
        return {
            "file": COCO, "images": len(images), "slices": len(content["images"]),
            "objects": len(content["annotations"]),
        }  # fmt: skip


def manifest_text(images: Sequence[ManifestEntry]) -> str:
    """Return the text of a manifest for ``promise train``."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    sliced = any(one.slices is not None for one in images)
    writer.writerow(["image_name", "train_type", "mask_name", "group", *(["slice"] if sliced else [])])
    for one in images:
        cells = [one.image, one.split, one.mask, one.group]
        for part in [""] if one.slices is None else slice_ranges(one.slices):
            writer.writerow([*cells, part] if sliced else cells)
    return stream.getvalue()


def label_map(objects: Sequence[AnnotatedObject], height: int, width: int) -> np.ndarray:
    """Return the label map (H, W) uint16 of one slice. Where objects overlap, locked ones win, then the topmost."""
    labels = np.zeros((height, width), np.uint16)
    for one in _drawing_order(objects):
        labels[one.mask.mask(height, width)] = one.label
    return labels


def instance_map(objects: Sequence[AnnotatedObject], height: int, width: int, before: int = 0) -> Uint16Array:
    """Return the instance map (H, W) of one slice: 0 for background, and a number for each object, without gaps.

    Where objects overlap, locked ones win, then the topmost. Objects of which no pixel is left have no number.

    Args:
        objects: the objects of the slice.
        height, width: its size in pixels.
        before: the number of objects in the slices before it; numbers continue from there.
    """
    drawn = np.zeros((height, width), np.uint16)
    for number, one in enumerate(_drawing_order(objects), 1):
        drawn[one.mask.mask(height, width)] = number
    numbers = np.zeros(len(objects) + 1, np.uint16)
    left = np.setdiff1d(drawn, [0])
    numbers[left] = np.arange(before + 1, before + 1 + len(left))
    return numbers[drawn]


def _drawing_order(objects: Sequence[AnnotatedObject]) -> list[AnnotatedObject]:
    return sorted(objects, key=lambda one: (one.locked, one.id))


def _annotation(one: AnnotatedObject, height: int, width: int) -> dict[str, Any]:
    mask = one.mask.mask(height, width)
    return {
        "category_id": one.label, "iscrowd": 0, "segmentation": encode_rle(mask), "area": int(np.count_nonzero(mask)),
        "bbox": list(one.mask.box),
    }  # fmt: skip


def _prompts(
    image: ProjectImage, objects: Sequence[AnnotatedObject], names: Mapping[int, str], models: Mapping[int, str]
) -> dict[str, Any]:
    """Return the final prompts of an image as JSON, from which its masks can be computed again."""
    used = {one.answer.model for one in objects}
    kept = ("id", "slice", "class", "points", "box", "automatic", "refines", "painted", "imported", "score", "model")
    return {
        "image": image.input.name,
        "classes": {str(label): name for label, name in names.items()},
        "models": {str(number): name for number, name in models.items() if number in used},
        "objects": [{name: one.for_client()[name] for name in kept} for one in objects],
    }


@contextmanager
def storing() -> Iterator[None]:
    """Turn errors of writing into refusals.

    Raises:
        Refusal: if the format cannot hold the masks, or the disk cannot be written.
    """
    try:
        yield
    except ImageError as error:
        raise Refusal(422, "invalid", str(error)) from error
    except PromiseError as error:
        raise not_stored(str(error).rstrip(".")) from error
