"""The files that a project writes for other programs: masks, prompts, a manifest for training, and a COCO file."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from promise_seg.annotator.catalogue import ProjectImage
from promise_seg.annotator.database import not_stored
from promise_seg.annotator.objects import AnnotatedObject
from promise_seg.annotator.refusals import Refusal
from promise_seg.dataset.manifest_writing import path_from
from promise_seg.errors import ImageError, PromiseError, SettingsError
from promise_seg.images.formats.source import Source
from promise_seg.images.guarding import guarded
from promise_seg.prediction.labelled import Labelled, LabelledSlice, Origin
from promise_seg.prediction.outputs.formats import formats_for, writer_of
from promise_seg.prediction.outputs.rle import encode_rle
from promise_seg.storage.files import write_json, write_text
from promise_seg.vocabulary import OutputFormat, Split

MANIFEST = "manifest.csv"
COCO = "exports/coco.json"
_WITHOUT_PIXELS = (OutputFormat.RLE, OutputFormat.COCO, OutputFormat.GEOJSON)


def check_can_be_trained_on(output: OutputFormat) -> None:
    """Check that a manifest can name masks in this format, so that accepted images can be trained on.

    Raises:
        SettingsError: if it cannot; the message names the formats that can be used.
    """
    if output in _WITHOUT_PIXELS:
        usable = ", ".join(one for one in OutputFormat if one not in _WITHOUT_PIXELS)
        raise SettingsError(
            f"--format {output}: masks in this format cannot be trained on; expected one of {usable}. The page exports "
            "COCO as well"
        )


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


class Results:
    """Writes the files of a project next to its database.

    Args:
        folder: the folder of the project.
        names: the names of the classes by their labels.
        output: the file format of masks.
    """

    def __init__(self, folder: Path, names: Mapping[int, str], output: OutputFormat = OutputFormat.AUTO) -> None:
        self.folder, self.names, self.output = folder, dict(names), output

    @property
    def has_one_class(self) -> bool:
        """Whether the only class is that of binary masks, with the label 1."""
        return list(self.names) == [1]

    def is_binary(self, objects: Sequence[AnnotatedObject]) -> bool:
        """Whether the mask of an image with these objects is binary, instead of a label map."""
        return self.has_one_class and all(one.label == 1 for one in objects)

    def write_masks(
        self,
        image: ProjectImage,
        place: Place,
        source: Source,
        objects: Sequence[AnnotatedObject],
        models: Mapping[int, str],
    ) -> str:
        """Write the masks and prompts of an accepted image; return the path of the masks, relative to the folder.

        Args:
            image: the image.
            place: the name of its files, and its size in pixels.
            source: the same image, opened.
            objects: all objects of the image.
            models: the names of the models by the numbers that objects refer to.

        Raises:
            Refusal: if they cannot be written.
        """
        with storing():
            path = self._write(image, place, self._labelled(place, source, objects))
            write_json(self.folder / "prompts" / f"{place.stem}.json", _prompts(image, objects, self.names, models))
        return path.relative_to(self.folder).as_posix()

    def _labelled(self, place: Place, source: Source, objects: Sequence[AnnotatedObject]) -> Labelled:
        slices = []
        nothing = Origin(np.zeros((0, 2), np.float32), np.zeros(0, np.int64), 0.0)
        origins = dict.fromkeys(self.names, nothing)
        for index in range(len(source)):
            inside = [one for one in objects if one.slice == index]
            slices.append(LabelledSlice(label_map(inside, place.height, place.width), origins))
        return Labelled(source, tuple(slices), self.names, self.is_binary(objects), separate_objects=False)

    def _write(self, image: ProjectImage, place: Place, labelled: Labelled) -> Path:
        formats = formats_for(labelled.source, self.output)
        for output in formats:
            writer = writer_of(output)
            path = self.folder / "masks" / f"{place.stem}{writer.suffix}"
            try:
                with guarded(image.input.name, f"written as {output}"):
                    writer.write(labelled, path)
            except ImageError:
                if output == formats[-1]:
                    raise
            else:
                return path if path.exists() else path.with_suffix("")  # a folder with a file for each slice
        raise ImageError(f"{image.input.name}: there is no format for its masks")

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

    def write_coco(self, images: Sequence[tuple[str, int, int, int, Sequence[AnnotatedObject]]]) -> dict[str, Any]:
        """Write all objects of accepted images to a COCO file; return the name of the file and its counts.

        Args:
            images: the name, width and height in pixels, number of slices, and objects of each image.

        Raises:
            Refusal: if it cannot be written.
        """
        content: dict[str, Any] = {
            "info": {"description": "Annotated with promise-seg"}, "images": [], "annotations": [],
            "categories": [{"id": label, "name": name} for label, name in sorted(self.names.items())],
        }  # fmt: skip
        for name, width, height, slices, objects in images:
            for index in range(slices) if slices == 1 else sorted({one.slice for one in objects}):
                number = len(content["images"]) + 1
                file_name = name if slices == 1 else f"{name}#{index}"
                content["images"].append({"id": number, "file_name": file_name, "width": width, "height": height})
                for one in objects:
                    if one.slice == index and not one.mask.is_empty:
                        fields = _annotation(one, height, width)
                        content["annotations"].append(
                            {"id": len(content["annotations"]) + 1, "image_id": number, **fields}
                        )
        with storing():
            write_json(self.folder / COCO, content)
        return {"file": COCO, "images": len(content["images"]), "objects": len(content["annotations"])}


def manifest_text(images: Sequence[ManifestEntry]) -> str:
    """Return the text of a manifest for ``promise train``."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    sliced = any(one.slices is not None for one in images)
    writer.writerow(["image_name", "train_type", "mask_name", "group", *(["slice"] if sliced else [])])
    for one in images:
        cells = [one.image, one.split, one.mask, one.group]
        for part in [""] if one.slices is None else _ranges(one.slices):
            writer.writerow([*cells, part] if sliced else cells)
    return stream.getvalue()


def label_map(objects: Sequence[AnnotatedObject], height: int, width: int) -> np.ndarray:
    """Return the label map (H, W) uint16 of one slice. Where objects overlap, locked ones win, then the topmost."""
    labels = np.zeros((height, width), np.uint16)
    for one in sorted(objects, key=lambda one: (one.locked, one.id)):
        labels[one.mask.mask(height, width)] = one.label
    return labels


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


def _ranges(slices: Sequence[int]) -> list[str]:
    """Return slices as cells of a manifest: ``3-7`` for a range, ``9`` for a single slice."""
    ordered = sorted(set(slices))
    breaks = [0, *(n + 1 for n, (one, other) in enumerate(pairwise(ordered)) if other != one + 1), len(ordered)]
    parts = [ordered[first:last] for first, last in pairwise(breaks)]
    return [str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts if part]


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
