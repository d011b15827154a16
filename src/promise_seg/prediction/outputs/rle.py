"""Write labels as run-length encoding, for one image or, as COCO JSON, for all images, using ``pycocotools``."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from scipy import ndimage

from promise_seg.arrays import BoolArray, IntArray, Uint16Array
from promise_seg.errors import PromiseError, first_line
from promise_seg.prediction.labelled import Labelled, LabelledSlice
from promise_seg.prediction.outputs.reading_back import write_checked
from promise_seg.rules.postprocessing import numbered_parts
from promise_seg.storage.files import json_text, read_json_object, write_json


def encode_rle(mask: BoolArray) -> dict[str, Any]:
    """Return a mask (H, W) in COCO's compressed encoding: ``{"size": [H, W], "counts": text}``."""
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(v) for v in code["size"]], "counts": code["counts"].decode("ascii")}


def write_rle(labelled: Labelled, path: Path) -> None:
    """Write a JSON file with the size and objects of each slice: label, code, area, box and predicted IoU.

    For a volume with a position in space, the file also names the axis along which the slices are cut and counted.
    """
    slices = []
    for index, one in enumerate(labelled.slices):
        height, width = one.labels.shape
        objects = list(_coded(labelled, one))
        slices.append({"slice": labelled.source.number_of(index), "height": height, "width": width, "objects": objects})
    names = {str(label): name for label, name in labelled.names.items()}
    frame = labelled.source.frame if labelled.source.is_volume else None
    axis = {} if frame is None else {"axis": str(frame.axis)}
    content = {"image": str(labelled.source.path), "labels": names, **axis, "slices": slices}
    text = json_text(content)
    write_checked(labelled, path, lambda to: to.write_text(text, encoding="utf-8"), read_rle, labelled.stack)


def _coded(labelled: Labelled, one: LabelledSlice) -> Iterator[dict[str, Any]]:
    """Yield the encoded objects of a slice; for an instance map, with their numbers."""
    if one.objects is not None:
        (label,) = labelled.names
        windows = ndimage.find_objects(one.labels)
        for found in one.objects:
            window = windows[found.id - 1]
            code = _code_in(label, one.labels[window] == found.id, window, one.labels.shape, found.score)
            yield code | {"id": found.id}
        return
    for label in labelled.names:
        mask = one.mask_of(label)
        parts = numbered_parts(mask) if labelled.separate_objects else mask.astype(np.int32)
        for number, place in enumerate(ndimage.find_objects(parts), 1):
            if place is not None:
                score = one.origins[label].predicted_iou
                yield _code_in(label, parts[place] == number, place, mask.shape, score)


def _code_in(
    label: int, mask: BoolArray, window: tuple[slice, slice], size: tuple[int, ...], score: float
) -> dict[str, Any]:
    """Return the encoded mask (h, w) of a window of an image (H, W) with its label, area, box and score.

    The time taken depends on the size of the window only, not of the image.
    """
    (rows, columns), (height, width) = window, size
    across, down = np.nonzero(mask.T)  # column by column, as in COCO's encoding
    places = (across + columns.start) * height + down + rows.start
    begins = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    ends = np.append(begins[1:], len(places)) - 1
    edges = np.stack([places[begins], places[ends] + 1], 1).ravel()
    counts = np.diff(edges, prepend=0, append=height * width)
    counts = counts if counts[-1] else counts[:-1]
    code = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return {
        "label": label,
        "segmentation": {"size": [height, width], "counts": code["counts"].decode("ascii")},
        "area": len(places),
        "bbox": [columns.start, rows.start, mask.shape[1], mask.shape[0]],
        "score": round(score, 4),
    }


def read_rle(path: Path) -> Uint16Array:
    """Read the labels (N, H, W) from a file of :func:`write_rle`."""
    slices = json.loads(path.read_text(encoding="utf-8"))["slices"]
    stack = np.zeros((len(slices), slices[0]["height"], slices[0]["width"]), np.uint16)
    for labels, one in zip(stack, slices, strict=True):
        by_columns = labels.ravel(order="F")  # as in COCO's encoding
        for found in one["objects"]:
            for begin, end in _runs(found["segmentation"]):
                by_columns[begin:end] = found.get("id", found["label"])
        labels[:] = by_columns.reshape(labels.shape, order="F")
    return stack


def _runs(code: dict[str, Any]) -> IntArray:
    """Return the begin and end of each foreground run (N, 2), counted column by column."""
    ends = np.cumsum(_counts_of(code["counts"]))
    runs = ends[: len(ends) // 2 * 2].reshape(-1, 2)
    return np.asarray(runs, np.int64)


def _counts_of(text: str) -> list[int]:
    """Decode the run lengths of COCO's compressed encoding, background first.

    Source: ``rleFrString`` in ``maskApi.c`` of the COCO API. Each character holds five bits, and the sixth tells
    whether more follow. From the fourth run on, the difference to the run two places before is stored.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return counts


def write_coco(codes: Sequence[Path], path: Path) -> None:
    """Join files of :func:`write_rle` into one data set in COCO's object detection format.

    Each slice of a volume is an image of its own, named ``<file>#<slice>``, with the axis that slices are cut along.

    Raises:
        PromiseError: if a file cannot be read.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[int, str] = {}
    for code in codes:
        try:
            content = read_json_object(code)
        except (OSError, ValueError) as error:
            raise PromiseError(
                f"{code}: cannot be read: {first_line(error)}. Remove it, and predict its image again"
            ) from error
        categories |= {int(label): name for label, name in content["labels"].items()}
        for one in content["slices"]:
            name = content["image"] if len(content["slices"]) == 1 else f"{content['image']}#{one['slice']}"
            axis = {"axis": content["axis"]} if "axis" in content else {}
            place = {"width": one["width"], "height": one["height"], **axis}
            images.append({"id": len(images) + 1, "file_name": name, **place})
            for found in one["objects"]:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": images[-1]["id"],
                        "category_id": found["label"],
                        "iscrowd": 0,
                        **{key: found[key] for key in ("segmentation", "area", "bbox", "score")},
                        **({"instance_id": found["id"]} if "id" in found else {}),
                    }
                )
    write_json(
        path,
        {
            "info": {"description": "Masks predicted by promise-seg"},
            "images": images,
            "annotations": annotations,
            "categories": [{"id": label, "name": name} for label, name in sorted(categories.items())],
        },
    )
