"""Bring annotations and their images together, and account for those that lack the other."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from promise_seg.curation.annotations.image_files import AmbiguousNameError, ImageFiles
from promise_seg.curation.annotations.shapes import AnnotatedImage, Document

SHOWN = 3


@dataclass(frozen=True)
class Annotated:
    """An image file, what is drawn on it, and the file of annotations that says so."""

    path: Path
    image: AnnotatedImage
    document: Document


@dataclass
class Meeting:
    """All images and annotations, each in one of the lists.

    ``found`` are images with their annotations; ``bare`` those without any shape, or that are not spoken of, and
    ``unfinished`` those that nobody has annotated yet. ``undrawn`` are images of which no shape could be drawn.
    ``missing`` are names of images that are not there, ``clashes`` lines about those that may be meant more than once.
    """

    found: list[Annotated] = field(default_factory=list)
    bare: list[Annotated] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    undrawn: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)

    def remarks(self, *, empty: bool) -> list[str]:
        """Return a line for each kind of image that was left out; ``empty`` if those without a shape were not."""
        bare = [] if empty else [str(one.path) for one in self.bare]
        lists = (
            ("image(s) of the annotations not found", self.missing, ""),
            ("image(s) left out, because they have no annotations", bare,
             ". If that means that they show nothing, pass --empty, which gives them empty masks"),
            ("image(s) left out, because nobody has annotated them yet", self.unfinished, ""),
            ("image(s) left out, because none of their shapes can be drawn", self.undrawn, ""),
            ("image(s) left out, because it is not certain which annotations are theirs", self.clashes, ""),
        )  # fmt: skip
        return [f"{len(names)} {what}: {some(names)}{way_out}" for what, names, way_out in lists if names]


def some(names: Sequence[str]) -> str:
    """Return the first few names."""
    return ", ".join(names[:SHOWN]) + " ..." * (len(names) > SHOWN)


def bring_together(documents: Sequence[Document], files: ImageFiles, *, beside: bool) -> Meeting:
    """Find the image of all annotations.

    Args:
        documents: what was read.
        files: the images.
        beside: whether names may also be paths from the annotations, out of the folder of images.
    """
    meeting = Meeting()
    by_path = defaultdict[Path, list[Annotated]](list)
    for document in documents:
        for image in document.images:
            try:
                path = files.find(image, document.path, beside=beside)
            except AmbiguousNameError as error:
                meeting.clashes.append(f"{image.where}: {error}")
                continue
            if path is None:
                meeting.missing.append(image.name)
            else:
                by_path[path].append(Annotated(path, image, document))
    for path, own in by_path.items():
        _sort(meeting, path, own)
    series = {path for path in by_path if path.is_dir()} | {path.parent for path in by_path}
    spoken_of = set(by_path) | {path for path in files.paths if path in series or path.parent in set(by_path)}
    nobody = Document(files.folder)
    if not any(
        one.image.image for own in by_path.values() for one in own
    ):  # a structure set speaks of its series alone
        meeting.bare += [
            Annotated(path, AnnotatedImage(path.name, str(path)), nobody)
            for path in files.paths if path not in spoken_of and not path.is_dir()
        ]  # fmt: skip
    return meeting


def _sort(meeting: Meeting, path: Path, own: list[Annotated]) -> None:
    finished = [one for one in own if one.image.is_finished]
    if not finished:
        meeting.unfinished.append(str(path))
    elif len(finished) > 1:
        places = "; ".join(dict.fromkeys(one.image.where for one in finished))
        meeting.clashes.append(f"{path}: annotated {len(finished)} times: {places}")
    else:
        (one,) = finished
        if one.image.shapes or one.image.is_complete:
            meeting.found.append(one)
        elif one.image.undrawn:
            meeting.undrawn.append(str(path))
        else:
            meeting.bare.append(one)
