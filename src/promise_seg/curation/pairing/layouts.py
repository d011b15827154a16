"""The known layouts of data set folders.

A layout is a function that examines the names in a folder and returns a list of :class:`LayoutPart`: a folder of
images, the folder of their masks, and the split that the names indicate. It returns an empty list for folders with
another layout. Everything else (nested folders, suffixes such as ``_mask``, files that cannot be paired) is handled in
``matching.py``. To add a layout, write such a function, add it to ``SPECIAL_LAYOUTS`` or ``FOLDER_LAYOUTS`` (the first
layout that yields pairs is used), and add a test to ``tests/curation/pairing/test_layouts.py``.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from promise_seg.curation.pairing.groups import are_cases
from promise_seg.curation.pairing.matching import LayoutPart, same_stem
from promise_seg.curation.pairing.scanning import scan, subfolders
from promise_seg.curation.pairing.schemes import SPLIT_FOLDERS
from promise_seg.errors import ManifestError
from promise_seg.images.folder_names import IMAGE_FOLDERS, MASK_FOLDERS, plain
from promise_seg.vocabulary import Split


@dataclass(frozen=True)
class Layout:
    """A layout; ``holds`` describes the content of such a folder, for messages."""

    holds: str
    parts: Callable[[Path], list[LayoutPart]]


def _one_of(folder: Path, names: Collection[str], what: str) -> Path | None:
    """Return the only subfolder with one of the names; if there are several, the only one that contains images.

    Raises:
        ManifestError: if several of them contain images.
    """
    matching = [path for path in subfolders(folder) if plain(path.name) in names]
    if len(matching) > 1:
        matching = [path for path in matching if scan(path).entries] or matching[:1]
    if len(matching) > 1:
        raise ManifestError(
            f"{folder}: found {', '.join(path.name + '/' for path in matching)}, expected one folder of {what}. "
            "Move the others away, or rename them"
        )
    return matching[0] if matching else None


def _beside(folder: Path, **words: Split | str) -> LayoutPart | None:
    """Return a part for two sibling folders of images and masks; without a folder of masks, no image has a mask."""
    images = _one_of(folder, IMAGE_FOLDERS, "images")
    masks = _one_of(folder, MASK_FOLDERS, "masks")
    if images is None:
        return None
    return LayoutPart(images, masks or folder / "masks", **words)  # type: ignore[arg-type]


def side_by_side(folder: Path) -> list[LayoutPart]:
    """Recognise ``images/`` and ``masks/``, under any of their common names."""
    part = _beside(folder)
    return [part] if part else []


def splits_outside(folder: Path) -> list[LayoutPart]:
    """Recognise ``train/``, ``val/``, ``test/``, each with ``images/`` and ``masks/`` or with both mixed in it."""
    parts = []
    for path in subfolders(folder):
        split = SPLIT_FOLDERS.get(plain(path.name))
        if split is not None:
            parts.append(_beside(path, split=split) or LayoutPart(path, path, split))
    return parts


def splits_inside(folder: Path) -> list[LayoutPart]:
    """Recognise ``images/`` and ``masks/``, each with subfolders ``train/``, ``val/``, ``test/``."""
    whole = _beside(folder)
    if whole is None or not whole.masks.is_dir():
        return []
    masks = {SPLIT_FOLDERS.get(plain(path.name)): path for path in subfolders(whole.masks)}
    parts = []
    for path in subfolders(whole.images):
        split = SPLIT_FOLDERS.get(plain(path.name))
        if split is not None:
            parts.append(LayoutPart(path, masks.get(split, whole.masks / path.name), split))
    return parts


_CHANNEL = re.compile(r"(.+)_(\d{4})")


def _first_channel(stem: str) -> str | None:
    match = _CHANNEL.fullmatch(stem)
    if match is None:
        return stem
    return match[1] if match[2] == "0000" else None


def nnunet(folder: Path) -> list[LayoutPart]:
    """Recognise ``imagesTr/`` and ``labelsTr/``, ``imagesTs/`` and ``labelsTs/``.

    Image names end in the channel number, and the first channel is used. If no name ends in ``_0000``, as in the
    Medical Segmentation Decathlon, names are used as they are.
    """
    names = {path.name.lower(): path for path in subfolders(folder)}
    parts = []
    for ending, split in (("Tr", Split.TRAIN), ("Va", Split.VAL), ("Ts", Split.TEST)):
        images = names.get(f"images{ending}".lower())
        if images is not None:
            labels = names.get(f"labels{ending}".lower(), folder / f"labels{ending}")
            numbered = any(entry.stem.endswith("_0000") for entry in scan(images).entries)
            parts.append(LayoutPart(images, labels, split, image_stem=_first_channel if numbered else same_stem))
    return parts


def polyp_benchmark(folder: Path) -> list[LayoutPart]:
    """Recognise ``TrainDataset/`` and ``TestDataset/<SET>/``, each with images and masks in it."""
    names = {plain(path.name): path for path in subfolders(folder)}
    parts = []
    if "traindataset" in names:
        parts.append(_beside(names["traindataset"], split=Split.TRAIN))
    if "testdataset" in names:
        parts += [_beside(path, split=Split.TEST, dataset=path.name) for path in subfolders(names["testdataset"])]
    return [part for part in parts if part is not None]


_ISIC = re.compile(r"(?P<year>is[ib][ic][-_]?\d{4}).*(?P<split>training|validation|test).*(?P<what>data|input|truth)")
_ISIC_OTHER_TASKS = re.compile(r"(task|part)[23]")
_ISIC_IMAGE = re.compile(r"ISIC_\d+")


def _isic_image(stem: str) -> str | None:
    return stem if _ISIC_IMAGE.fullmatch(stem) else None  # superpixels are in the same folder


def isic(folder: Path) -> list[LayoutPart]:
    """Recognise the ISIC challenges of 2016 to 2018: ``..._Training_Input``, ``..._Training_GroundTruth`` ..."""
    found: dict[tuple[str, str, bool], Path] = {}
    for path in subfolders(folder):
        name = path.name.lower()
        match = _ISIC.match(name)
        if match and not _ISIC_OTHER_TASKS.search(name):
            found[match["year"], match["split"], match["what"] == "truth"] = path
    return [
        LayoutPart(
            path, found.get((year, split, True), folder / "GroundTruth"), SPLIT_FOLDERS[split], image_stem=_isic_image
        )
        for (year, split, is_truth), path in found.items() if not is_truth
    ]  # fmt: skip


def splits_named(folder: PurePath) -> set[Split]:
    """Return the splits that the words of a folder's name indicate: train for ``stage1_train``."""
    return {SPLIT_FOLDERS[word] for word in re.split(r"[ _-]+", folder.name.lower()) if word in SPLIT_FOLDERS}


def _cases_in(folder: Path) -> list[LayoutPart]:
    """Return a part for each folder of a case; folders named after a split hold many cases and are left out."""
    found = [_beside(path, group=path.name) for path in subfolders(folder) if not splits_named(path)]
    return [part for part in found if part is not None]


def _holds_one(part: LayoutPart) -> bool:
    return [entry.stem for entry in scan(part.images).entries] == [part.group]


def _holds_cases(parts: Sequence[LayoutPart]) -> bool:
    """Whether folders are cases, by their names, or because each holds a single image with the name of the folder."""
    return are_cases({part.group for part in parts}) or all(_holds_one(part) for part in parts)


def cases(folder: Path) -> list[LayoutPart]:
    """Recognise a folder per case with ``images/`` and ``masks/``, at the top or one level below; cases are groups.

    An image named after its case may have one mask per object, as in the Data Science Bowl 2018. Folders with the same
    name in several splits are the same case; elsewhere they are different cases.
    """
    parts = _cases_in(folder)
    if parts and not _holds_cases(parts):
        return []
    inner = list[LayoutPart]()
    for holder in subfolders(folder):
        splits = splits_named(holder)
        split = splits.pop() if len(splits) == 1 else None
        inner += [replace(part, split=split) for part in _cases_in(holder)]
    if inner and _holds_cases(inner):
        parts += inner
    if not any(part.masks.is_dir() for part in parts):
        return []
    times = Counter(part.group for part in parts if part.split is None)
    return [
        replace(
            part,
            holds_one=_holds_one(part),
            group=part.images.parent.relative_to(folder).as_posix() if times[part.group] > 1 else part.group,
        )
        for part in parts
    ]


_DRIVE_IMAGE = re.compile(r"(\d+)_(training|test)", re.IGNORECASE)


def _drive_mask(stem: str) -> str | None:
    match = _DRIVE_IMAGE.fullmatch(stem)
    return f"{match[1]}_manual1" if match else None


def drive(folder: Path) -> list[LayoutPart]:
    """Recognise DRIVE's ``training/`` and ``test/``, with masks in ``1st_manual/``; ``mask/`` is the field of view."""
    parts = []
    for path in (folder, *subfolders(folder)):
        if (path / "1st_manual").is_dir() or (path / "mask").is_dir():
            split = None if path == folder else SPLIT_FOLDERS.get(plain(path.name))
            parts.append(LayoutPart(path / "images", path / "1st_manual", split, image_stem=_drive_mask))
    return parts if any(part.masks.is_dir() for part in parts) else []


def flat(folder: Path) -> list[LayoutPart]:
    """Recognise images and masks in one folder, with masks named after the images."""
    return [LayoutPart(folder, folder)]


SPECIAL_LAYOUTS = (
    Layout("nnU-Net's imagesTr/ and labelsTr/", nnunet),
    Layout("the polyp benchmarks' TrainDataset/ and TestDataset/", polyp_benchmark),
    Layout("ISIC's ..._Input/ and ..._GroundTruth/", isic),
    Layout("DRIVE's images/ and 1st_manual/", drive),
)
"""The layouts of specific data sets."""

FOLDER_LAYOUTS = (
    Layout("train/, val/, test/ with images/ and masks/ in each", splits_outside),
    Layout("images/ and masks/ with train/, val/, test/ in each", splits_inside),
    Layout("images/ and masks/", side_by_side),
    Layout("a folder per case with images/ and masks/ in it, or with ID/images/ID.png and its objects", cases),
)
FLAT = Layout("images and masks in one folder, such as a.png and a_mask.png", flat)
LAYOUTS = (*SPECIAL_LAYOUTS, *FOLDER_LAYOUTS, FLAT)
