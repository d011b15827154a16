"""Pair ``.npz`` archives that hold both an image and its mask, the form in which many sets of slices are published."""

from pathlib import PurePosixPath

from promise_seg.curation.pairing.layouts import splits_named
from promise_seg.curation.pairing.matching import ImagePair, Matches
from promise_seg.curation.pairing.scanning import Entry, Scan
from promise_seg.images.formats.numpy_stack import NumpyArchive, holds_image_and_mask
from promise_seg.vocabulary import Split


def match_archives(contents: Scan) -> Matches:
    """Pair each archive with itself, if all images are NumPy archives; names of folders may indicate the split."""
    found = Matches(ignored=list(contents.ignored), folders=set(contents.folders))
    suffixes = NumpyArchive.suffixes
    if any(entry.path.suffix.lower() not in suffixes for entry in contents.entries):
        return found
    for entry in contents.entries:
        if holds_image_and_mask(entry.path):
            found.pairs.append(ImagePair(entry.path, entry.path, entry.stem, _split(entry), ""))
        else:
            found.images_alone.append(entry.path)
    return found


def _split(entry: Entry) -> Split | None:
    named = set[Split]().union(*(splits_named(part) for part in map(PurePosixPath, entry.parent.split("/"))))
    return named.pop() if len(named) == 1 else None
