"""Pair the images and masks of a folder, and account for everything that could not be paired."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path

from promise_seg.curation.pairing.archives import match_archives
from promise_seg.curation.pairing.bids import match_bids
from promise_seg.curation.pairing.by_pattern import match_patterns, match_scheme
from promise_seg.curation.pairing.channels import ChannelSet, channels_of
from promise_seg.curation.pairing.class_masks import match_classes
from promise_seg.curation.pairing.label_studio import match_label_studio
from promise_seg.curation.pairing.layouts import FLAT, FOLDER_LAYOUTS, LAYOUTS, SPECIAL_LAYOUTS, Layout, splits_named
from promise_seg.curation.pairing.matching import LayoutPart, Matches, match
from promise_seg.curation.pairing.references import match_references
from promise_seg.curation.pairing.scanning import Scan, scan, subfolders
from promise_seg.curation.pairing.schemes import SCHEMES
from promise_seg.errors import ImageError, ManifestError, PromiseError
from promise_seg.images.own_folders import MASKS_BESIDE_A_MANIFEST
from promise_seg.quantities import count_in_words
from promise_seg.vocabulary import Split

_SHOWN = 3
_KINDS_SHOWN = 5
_DEEPEST = 5
_OF_ANNOTATIONS = frozenset({".json", ".geojson", ".xml"})


@dataclass
class Pairing(Matches):
    """The pairs in a folder.

    ``not_looked_at`` are folders with images that are not part of the layout, ``texts`` are tables and other text
    files, and ``hidden`` are hidden files and folders.
    """

    folder: Path = field(default_factory=Path)
    layout: str = ""
    not_looked_at: list[Path] = field(default_factory=list)
    channels: ChannelSet | None = None
    """The channels of the images, if they are stored in separate files."""
    texts: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)

    def take(self, found: Matches) -> None:
        """Add the matches of a part of the folder."""
        for part in fields(Matches):
            mine = getattr(self, part.name)
            setattr(
                self, part.name, mine | found.folders if part.name == "folders" else mine + getattr(found, part.name)
            )

    @property
    def knows_splits(self) -> bool:
        """Whether the layout names the split of any pair."""
        return any(pair.split for pair in self.pairs)

    def counts(self) -> dict[Split, int]:
        """Return the number of pairs in each split; all are ``train`` if the layout does not name splits."""
        counted = Counter(pair.split or Split.TRAIN for pair in self.pairs)
        return {split: counted[split] for split in Split if counted[split]}

    def remarks(self) -> list[str]:
        """Return one line for each kind of file that was left out, with the number of files and examples."""
        lists = (
            ("image(s) without mask", self.images_alone),
            ("mask(s) without image", self.masks_alone),
            ("image(s) not used: channels other than _0000, or not photographs", self.unused),
            ("image(s) or mask(s) not used, because their names do not belong to this layout", self.unnamed),
            (f"file(s) of unknown formats ignored ({_kinds(self.ignored)})", self.ignored),
            (
                f"table(s) and other text file(s) ignored, because they are not images ({_kinds(self.texts)})",
                self.texts,
            ),
            ("hidden file(s) or folder(s) ignored", self.hidden),
            ("folder(s) with images not used, because they are not part of the layout", self.not_looked_at),
        )
        lines = [f"{len(paths)} {what}: {self._examples(paths)}" for what, paths in lists if paths]
        if self.clashes:
            more = f"; and {len(self.clashes) - _SHOWN} more" if len(self.clashes) > _SHOWN else ""
            lines.append(
                f"{len(self.clashes)} image(s) not paired, because more than one pairing is possible: "
                f"{'; '.join(self.clashes[:_SHOWN])}{more}. Rename or remove the wrong ones"
            )
        return lines + self.cautions

    def _examples(self, paths: list[Path]) -> str:
        names = [path.relative_to(self.folder).as_posix() for path in paths[:_SHOWN]]
        return ", ".join(names) + (" ..." if len(paths) > _SHOWN else "")


def _kinds(paths: list[Path]) -> str:
    """Return text with the number of files of each of the most common suffixes."""
    counted = Counter(path.suffix or "no suffix" for path in paths).most_common()
    listed = [f"{name} {count}" for name, count in counted[:_KINDS_SHOWN]]
    more = len(counted) - _KINDS_SHOWN
    return ", ".join([*listed, f"and {more} other kinds"] if more > 0 else listed)


def _pair_parts(folder: Path, layout: str, parts: list[LayoutPart]) -> Pairing:
    whole = Pairing(folder=folder, layout=layout)
    for part in parts:
        whole.take(match(part))
    return _looked_at(whole)


def _looked_at(whole: Pairing) -> Pairing:
    """Record folders with images outside the layout, files that are not images, and channels; return the pairing."""
    folder = whole.folder
    whole.channels = channels_of(whole.pairs)
    contents = scan(folder)
    with_images = {entry.path if entry.path.is_dir() else entry.path.parent for entry in contents.entries}
    whole.ignored = sorted({*whole.ignored, *contents.ignored})
    told = set(whole.told_by)
    whole.texts = [path for path in contents.texts if path not in told and not _is_ours(path.relative_to(folder))]
    whole.hidden = contents.hidden
    looked_at = whole.folders | {path for path in with_images if _is_ours(path.relative_to(folder))}
    whole.not_looked_at = sorted(with_images - looked_at)
    return whole


def _is_ours(below: Path) -> bool:
    """Whether a folder holds masks that this program merged or imported."""
    return any(name.endswith(MASKS_BESIDE_A_MANIFEST) for name in below.parts)


def pair_folder(folder: str | Path) -> Pairing:
    """Pair the images of a folder with their masks, by the first known layout that yields any pair.

    Raises:
        ManifestError: if there is no such folder, or nothing in it can be paired.
        ImageError: if the folder cannot be listed.
    """
    folder = Path(folder)
    try:
        return _pair(folder)
    except OSError as error:
        place = _closed(Path(error.filename or folder))
        raise ImageError(f"{place}: cannot be listed: {error.strerror or error}. Check its permissions") from error


def _closed(path: Path) -> Path:
    """Return the first folder on the way to a path that cannot be listed; the path itself if all of them can.

    The path that an error names may not even exist, as in a folder that cannot be searched.
    """
    for folder in reversed(path.parents):
        try:
            with os.scandir(folder):
                pass
        except PermissionError:
            return folder
        except OSError:
            break
    return path


def pair_by_patterns(folder: str | Path, images: str, masks: str) -> Pairing:
    """Pair the images of a folder with their masks by two patterns of paths: see ``patterns.py``.

    Raises:
        ManifestError: if there is no such folder, or nothing in it can be paired.
        ImageError: if the folder cannot be listed.
        SettingsError: if the patterns cannot tell which mask belongs to which image.
    """
    folder = Path(folder)
    _check_folder(folder)
    pairing = Pairing(folder=folder, layout=f"{images} and {masks}")
    pairing.take(match_patterns(folder, images, masks))
    if not pairing.pairs:
        contents = "; ".join(pairing.remarks()) or "no images at all"
        raise ManifestError(
            f"{folder}: --images {images} --masks {masks}: no image could be paired with a mask: {contents}. Expected "
            "patterns of paths below this folder, of which * and {word} stand for the same text in an image and its "
            "mask"
        )
    return _looked_at(pairing)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ManifestError(
            f"{folder}: {'is a file' if folder.exists() else 'no such folder'}; expected the folder of a data set"
        )


def _pair(folder: Path) -> Pairing:
    _check_folder(folder)
    tried = list[Pairing]()
    for pairing in chain(_by_layouts(folder, tried), _in_containers(folder), _by_layout(folder, FLAT, tried)):
        return pairing
    raise ManifestError(_nothing_paired(folder, tried[0]))


def _nothing_paired(folder: Path, best: Pairing) -> str:
    """Return the message for a folder without pairs: what it has, what was expected, and the ways out, in lines."""
    return "\n  ".join(
        [
            f"{folder}: no image could be paired with a mask. Read as {best.layout}, it has",
            *(f"- {remark}" for remark in best.remarks() or ["no images at all"]),
            "Expected names that are equal except for an ending such as _mask, in one of these layouts:",
            *(f"- {layout.holds}" for layout in LAYOUTS),
            *_subfolders_with_pairs(folder),
            "Give the patterns of their names (--images '*_photo.jpg' --masks '*_drawn.png'), rename the files,",
            "or write the manifest by hand (docs/data-format.md)",
            *_hint_at_annotations(folder),
        ]
    )


def _subfolders_with_pairs(folder: Path) -> list[str]:
    """Return a line on the subfolders that would give pairs by themselves, or an empty list if there are none."""
    found = list[tuple[int, str]]()
    for path in subfolders(folder):
        try:
            pairing = next(chain(_by_layouts(path, []), _in_containers(path), _by_layout(path, FLAT, [])), None)
        except (PromiseError, OSError):  # the user did not ask for this folder
            continue
        if pairing:
            found.append((len(pairing.pairs), path.name))
    listed = [f"{name}/ would give {count_in_words(count, 'pair')}" for count, name in sorted(found, reverse=True)]
    return [f"Give one of its subfolders instead: {', '.join(listed[:_SHOWN])}"] if listed else []


def _hint_at_annotations(folder: Path) -> list[str]:
    """Return a hint for annotations that are not masks, or an empty list if there are none."""
    contents = scan(folder)
    suffixes = sorted({path.suffix.lower() for path in contents.ignored + contents.texts} & _OF_ANNOTATIONS)
    if not suffixes:
        return []
    return [f"If its {' and '.join(suffixes)} files are annotations, such as polygons: promise data import"]


def _by_layout(folder: Path, layout: Layout, tried: list[Pairing]) -> Iterator[Pairing]:
    parts = layout.parts(folder)
    if parts:
        tried.append(_pair_parts(folder, layout.holds, parts))
        if tried[-1].pairs:
            yield tried[-1]


def _by_layouts(folder: Path, tried: list[Pairing]) -> Iterator[Pairing]:
    """Yield the pairings of a folder by each layout, the most specific first; those without pairs go to ``tried``."""
    for layout in SPECIAL_LAYOUTS:
        yield from _by_layout(folder, layout, tried)
    contents = scan(folder)
    yield from _by_names(folder, contents)
    for layout in FOLDER_LAYOUTS:
        yield from _by_layout(folder, layout, tried)


def _by_names(folder: Path, contents: Scan) -> Iterator[Pairing]:
    matchers: list[tuple[str, Callable[[], Matches]]] = [
        ("DICOM segmentations and the images that they name", partial(match_references, folder)),
        ("archives of NumPy with an image and its mask in each", partial(match_archives, contents)),
        *((f"names of {scheme.producer}", partial(match_scheme, contents, scheme)) for scheme in SCHEMES),
        ("names of BIDS", partial(match_bids, contents)),
        ("names of Label Studio", partial(match_label_studio, folder, contents)),
        ("images, and a mask for each class of each", partial(match_classes, contents)),
    ]
    for name, find in matchers:
        found = Pairing(folder=folder, layout=name)
        found.take(find())
        if found.pairs:
            yield _looked_at(found)


def _in_containers(folder: Path, depth: int = 0) -> Iterator[Pairing]:
    """Yield a single pairing of all data sets in a folder that only contains folders of data sets."""
    below = subfolders(folder)
    if not below or depth > _DEEPEST or any(path.parent == folder for path in _paths(scan(folder))):
        return
    whole = Pairing(folder=folder)
    inside = {path: next(chain(_by_layouts(path, []), _in_containers(path, depth + 1)), None) for path in below}
    if not any(inside.values()):
        return
    for path in below:
        found = inside[path] or next(_by_layout(path, FLAT, []), None)
        if found:
            splits = splits_named(path)
            split, dataset = (splits.pop(), "") if len(splits) == 1 else (None, path.name if len(below) > 1 else "")
            prefix = f"{path.name}/" if dataset else ""  # p1 of two data sets is two patients
            found.pairs = [
                replace(
                    pair, split=pair.split or split, dataset=pair.dataset or dataset,
                    group=f"{prefix}{pair.group}" if pair.group else "",
                )
                for pair in found.pairs
            ]  # fmt: skip
            whole.take(found)
    layouts = {found.layout for found in inside.values() if found}
    whole.layout = f"{sum(map(bool, inside.values()))} folder(s) of data sets, with {'; '.join(sorted(layouts))}"
    yield _looked_at(whole)


def _paths(contents: Scan) -> list[Path]:
    return [entry.path for entry in contents.entries if entry.path.is_file()]
