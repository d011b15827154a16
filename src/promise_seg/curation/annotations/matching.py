"""Match annotations with their images, and account for images and annotations without a match."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from promise_seg.curation.annotations.image_files import AmbiguousNameError, ImageFiles, plain_name
from promise_seg.curation.annotations.shapes import AnnotatedImage, Document
from promise_seg.images.formats.kinds import stem_of

SHOWN = 3
_LONGEST = 400
MISSING = "image(s) of the annotations not found"
UNANNOTATED = "image(s) left out, because they have no annotations"


@dataclass(frozen=True)
class Annotated:
    """An image file, the shapes drawn on it, and the annotation file that they come from."""

    path: Path
    image: AnnotatedImage
    document: Document


@dataclass
class ImageMatches:
    """All images and annotations, each in one of the lists.

    ``matched`` are images with their annotations; ``bare`` are images that the annotations name without any shapes,
    ``unmentioned`` are images that they do not name, and ``unfinished`` are images that nobody has annotated yet.
    ``undrawn`` are images without a shape that can be drawn. ``missing`` are names of images that do not exist,
    ``clashes`` are lines about images whose annotations are ambiguous.
    """

    matched: list[Annotated] = field(default_factory=list)
    bare: list[Annotated] = field(default_factory=list)
    unmentioned: list[Annotated] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    undrawn: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)

    @property
    def empty(self) -> list[Annotated]:
        """The images that get empty masks, if the user states that images without annotations show no object.

        Images that are not mentioned may be missing ones under another name, so they only count if none is missing.
        """
        return self.bare + ([] if self.missing else self.unmentioned)

    def remarks(self, *, empty: bool) -> list[str]:
        """Return a line per kind of image that was left out; ``empty`` is whether :attr:`empty` images are kept."""
        left = [one.path for one in self.bare + self.unmentioned]
        way_out = "If somebody looked at all of them and found no object, pass --empty to give them empty masks"
        if empty:
            left = [path for path in left if path not in {one.path for one in self.empty}]
            way_out = "They may be the missing images under another name, so --empty does not apply to them"
        lists = (
            (MISSING, self.missing, ""),
            (UNANNOTATED, [str(path) for path in left], way_out),
            ("image(s) left out, because they are not annotated yet", self.unfinished, ""),
            ("image(s) left out, because none of their shapes can be drawn", self.undrawn, ""),
            ("image(s) left out, because it is unclear which annotations belong to them", self.clashes, ""),
        )
        return [line_about(what, names, rest) for what, names, rest in lists if names]


def line_about(what: str, items: Sequence[str], rest: str = "") -> str:
    """Return a line with the number of items and the first few of them, followed by the sentence ``rest``, if any.

    Names are separated by commas; lines, which contain colons, are separated by semicolons.
    """
    are_lines = any(": " in item for item in items)
    shown = ("; " if are_lines else ", ").join(map(_shortened, items[:SHOWN]))
    if len(items) > SHOWN:
        shown += f"; and {len(items) - SHOWN} more" if are_lines else f" and {len(items) - SHOWN} more"
    return f"{len(items)} {what}: {shown}" + (f". {rest}" if rest else "")


def _shortened(item: str) -> str:
    return item if len(item) <= _LONGEST else f"{item[:_LONGEST]} ..."


def match_images(documents: Sequence[Document], files: ImageFiles, *, follow_paths: bool) -> ImageMatches:
    """Find the image that each annotation belongs to.

    Args:
        documents: the documents that were read.
        files: the images.
        follow_paths: whether names may also be paths relative to the annotations, out of the folder of images.
    """
    matches, in_doubt = ImageMatches(), set[Path]()
    by_path = defaultdict[Path, list[Annotated]](list)
    for document in documents:
        for image in document.images:
            try:
                path = files.find(image, document.path, follow_paths=follow_paths)
            except AmbiguousNameError as error:
                matches.clashes.append(f"{image.where}: {error}")
                in_doubt.update(error.candidates)
                continue
            if path is None:
                matches.missing.append(image.name)
            else:
                by_path[path].append(Annotated(path, image, document))
    for path, own in by_path.items():
        _sort(matches, path, own)
    if not any(
        one.image.image for own in by_path.values() for one in own
    ):  # a structure set only concerns its own series
        rest = [path for path in files.paths if path not in by_path and path not in in_doubt and not path.is_dir()]
        _sort_unmentioned(matches, rest, {plain_name(stem) for document in documents for stem in document.unread})
    return matches


def _sort_unmentioned(matches: ImageMatches, paths: Sequence[Path], unread: set[str]) -> None:
    for path in paths:
        if plain_name(stem_of(path)) in unread:
            matches.undrawn.append(str(path))
        else:
            image = AnnotatedImage(path.name, str(path))
            matches.unmentioned.append(Annotated(path, image, Document(path.parent)))


def _sort(matches: ImageMatches, path: Path, own: list[Annotated]) -> None:
    finished = [one for one in own if one.image.is_finished]
    if not finished:
        matches.unfinished.append(str(path))
    elif len(finished) > 1:
        places = "; ".join(dict.fromkeys(one.image.where for one in finished))
        matches.clashes.append(f"{path}: annotated {len(finished)} times: {places}")
    else:
        (one,) = finished
        if one.image.shapes or (one.image.is_complete and not one.image.undrawn):
            matches.matched.append(one)
        elif one.image.undrawn:
            matches.undrawn.append(str(path))
        else:
            matches.bare.append(one)
