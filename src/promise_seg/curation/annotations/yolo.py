"""YOLO: a text file per image with a polygon per line, in fractions of the image, and a file that lists the classes."""

from pathlib import Path
from typing import Any

import yaml

from promise_seg.curation.annotations.documents import read_bytes, read_lines, text_of
from promise_seg.curation.annotations.shapes import AnnotatedImage, BrokenShapeError, Document, Outline, Shape, ring_of
from promise_seg.errors import ImageError
from promise_seg.images.listing import visible

YOLO_CLASSES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "classes.txt", "obj.names")
"""Names of files that list the classes; a YAML file with another name can be given directly."""
_FEW_BYTES = 1_000_000
_BOX = 5


def classes_in(folder: Path) -> Path | None:
    """Return the file that lists the classes of a folder, if there is one."""
    return next((path for name in YOLO_CLASSES if (path := folder / name).is_file()), None)


def read_yolo(classes: Path) -> Document:
    """Read the polygons of all text files next to or below the file that lists the classes.

    Raises:
        ImageError: if the classes cannot be read, or there are no label files.
    """
    document = Document(classes)
    document.classes = _names(classes)
    texts = [path for path in _texts(classes.parent) if path != classes]
    for path in texts:
        try:
            lines = read_lines(path)
        except ImageError as error:
            document.broken.append(str(error))
            document.unread.add(path.stem)
            continue
        if lines and not any(_is_label(line) for line in lines):
            document.unread.add(path.stem)
            continue
        image = AnnotatedImage(_image_name(path, classes.parent), str(path))
        for number, line in enumerate(lines, 1):
            with document.guarded(f"{path.relative_to(classes.parent)}:{number}", image):
                if not _is_label(line):
                    raise BrokenShapeError(
                        "is not a line of YOLO; expected the number of a class, then x and y of each point"
                    )
                if len(line.split()) == _BOX:
                    document.leave_out(image, "box without an outline")
                else:
                    image.shapes.append(_shape(line.split(), document.classes, number))
        document.images.append(image)
    if not document.images:
        raise ImageError(
            f"{classes.parent}: no texts of YOLO below it; expected one for each image, such as labels/a.txt, with a "
            "line for each object: the number of its class, and x and y of its outline as fractions of the image"
        )
    return document


def _texts(folder: Path) -> list[Path]:
    found = list[Path]()
    for path in visible(folder):
        if path.is_dir() and not path.is_symlink():
            found += _texts(path)
        elif path.suffix.lower() == ".txt":
            found.append(path)
    return found


def _image_name(text: Path, root: Path) -> str:
    """Return the path of an image without its suffix: ``images/train/a`` for ``labels/train/a.txt``."""
    parts = ["images" if part == "labels" else part for part in text.relative_to(root).parts[:-1]]
    return "/".join([*parts, text.stem])


def _is_label(line: str) -> bool:
    first = line.split()[0]
    return first.isdecimal() and len(line.split()) >= _BOX


def _shape(words: list[str], classes: list[str], number: int) -> Shape:
    index, flat = int(words[0]), words[1:]
    if index >= len(classes):
        raise BrokenShapeError(f"is of class {index}, but the file of classes lists {len(classes)}, counted from 0")
    if len(flat) % 2:
        raise BrokenShapeError(f"has an outline of {len(flat)} numbers, but each point needs two")
    ring = ring_of(zip(flat[::2], flat[1::2], strict=True))
    if ring.max() > 2 or ring.min() < -1:
        raise BrokenShapeError(f"has coordinates up to {ring.max():g}; expected fractions of the image, from 0 to 1")
    return Shape(Outline(((ring,),), is_relative=True), classes[index], ("line", number))


def _names(path: Path) -> list[str]:
    if path.suffix.lower() not in (".yaml", ".yml"):
        return read_lines(path)
    try:
        found: Any = yaml.safe_load(text_of(path, read_bytes(path, _FEW_BYTES)))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ImageError(f"{path}: not valid YAML. Export it again") from None
    names = found.get("names") if isinstance(found, dict) else None
    if isinstance(names, list):
        return [_name(path, name) for name in names]
    try:
        numbered = {int(key): _name(path, name) for key, name in dict(names or {}).items()}
    except (TypeError, ValueError):
        numbered = {}
    if not numbered or min(numbered) < 0 or max(numbered) > len(numbered) + 10_000:
        raise ImageError(f"{path}: has no names of classes; expected names: [polyp, tool], or names: with 0: polyp")
    return [numbered.get(index, f"class {index}") for index in range(max(numbered) + 1)]


def _name(path: Path, name: Any) -> str:
    """Return the name of a class, which must not be a list: repeated by YAML aliases, its text could fill the memory.

    Raises:
        ImageError: if the name is not text or a number.
    """
    if not isinstance(name, str | int | float):
        raise ImageError(f"{path}: has a class whose name is not text; expected names: [polyp, tool]")
    return str(name)
