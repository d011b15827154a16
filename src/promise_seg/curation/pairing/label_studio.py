"""Pair the PNG masks that Label Studio exports, which are named after task numbers, with the images of the tasks."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from promise_seg.curation.pairing.matching import ImagePair, Matches
from promise_seg.curation.pairing.scanning import Entry, Scan, composed

_MASK = re.compile(r"task-(\d+)-annotation-(\d+)-by-\d*-?tag-(.+)-(\d+)")
_LAST_NUMBER = re.compile(r"(\d+)\D*$")
_MOST_BYTES = 200_000_000


def match_label_studio(folder: Path, contents: Scan) -> Matches:
    """Pair masks with images by a JSON export next to them, otherwise by the last number in the names of the images."""
    found = Matches(ignored=list(contents.ignored), folders=set(contents.folders))
    masks = defaultdict[int, list[tuple[Entry, re.Match[str]]]](list)
    images = list[Entry]()
    for entry in contents.entries:
        match = _MASK.fullmatch(entry.stem)
        if match:
            masks[int(match[1])].append((entry, match))
        else:
            images.append(entry)
    if not masks:
        return found
    names, found.told_by = _names_of_tasks(folder)
    tags = {match[3] for own in masks.values() for _, match in own}
    of_task = _named(names, images) if names else _numbered(images, set(masks))
    if not names and of_task:
        found.cautions.append(
            "Label Studio names masks after the number of their task; each was assumed to belong to the image with "
            "this number at the end of its name. Check some of the pairs with promise data show, or put the JSON "
            "export, which lists the pairs, in the same folder"
        )
    for task, own in sorted(masks.items()):
        image = of_task.get(task)
        if image is None:
            found.masks_alone += [entry.path for entry, _ in own]
        elif len({match[2] for _, match in own}) > 1:
            listed = ", ".join(entry.path.name for entry, _ in own)
            found.clashes.append(f"{image.path}: was annotated several times: {listed}")
        else:
            found.pairs.append(_pair(image, own, tags))
    taken = {image.path for task, image in of_task.items() if task in masks}
    found.images_alone = [image.path for image in images if image.path not in taken]
    return found


def _pair(image: Entry, own: Sequence[tuple[Entry, re.Match[str]]], tags: set[str]) -> ImagePair:
    first = own[0][0].path
    if len(own) == len(tags) == 1:
        return ImagePair(image.path, first, image.stem, None, "")
    parts = tuple(match[3] if len(tags) > 1 else match[4] for _, match in own)
    objects = tuple(entry.path for entry, _ in own)
    return ImagePair(image.path, first.parent, image.stem, None, "", "", objects, parts)


def _names_of_tasks(folder: Path) -> tuple[dict[int, set[str]], list[Path]]:
    """Return the file names that each task of a JSON or JSON-MIN export mentions, by task number, and these exports."""
    names, exports = dict[int, set[str]](), list[Path]()
    for path in sorted((*folder.glob("*.json"), *folder.glob("*/*.json"))):
        try:
            tasks = json.loads(path.read_text("utf-8-sig")) if path.stat().st_size < _MOST_BYTES else None
        except (OSError, ValueError, RecursionError):
            continue
        for task in tasks if isinstance(tasks, list) else []:
            number = task.get("id") if isinstance(task, dict) else None
            if isinstance(number, int):
                inside = {key: value for key, value in task.items() if key not in ("annotations", "predictions")}
                names.setdefault(number, set()).update(_files(inside))
                exports.append(path)
    return names, exports


def _files(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield composed(PurePosixPath(unquote(value.partition("?d=")[2] or value).replace("\\", "/")).name)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _files(inner)


def _named(names: Mapping[int, set[str]], images: Sequence[Entry]) -> dict[int, Entry]:
    found = dict[int, Entry]()
    for task, own in names.items():
        # Label Studio puts eight hexadecimal digits before the names of uploaded files
        fitting = [image for image in images if composed(image.path.name) in own] or [
            image
            for image in images
            if any(re.fullmatch(r"[0-9a-f]{8}-(.+)", n) and n[9:] == composed(image.path.name) for n in own)
        ]
        if len(fitting) == 1:
            found[task] = fitting[0]
    return found


def _numbered(images: Sequence[Entry], tasks: set[int]) -> dict[int, Entry]:
    """Return the images by the last number in their names, if the numbers are distinct and include all tasks."""
    numbers = [_LAST_NUMBER.search(image.stem) for image in images]
    by_number = {int(number[1]): image for number, image in zip(numbers, images, strict=True) if number}
    return by_number if len(by_number) == len(images) and tasks <= set(by_number) else {}
