"""Pair the images and masks of a folder, and account for everything that could not be paired."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from promise_seg.curation.pairing.layouts import LAYOUTS
from promise_seg.curation.pairing.matching import LayoutPart, Matches, match
from promise_seg.curation.pairing.scanning import MERGED, scan
from promise_seg.errors import ImageError, ManifestError
from promise_seg.vocabulary import Split

_SHOWN = 3


@dataclass
class Pairing(Matches):
    """The pairs in a folder. ``not_looked_at`` are folders with images that are not part of the layout."""

    folder: Path = field(default_factory=Path)
    layout: str = ""
    not_looked_at: list[Path] = field(default_factory=list)

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
        suffixes = Counter(path.suffix or "no suffix" for path in self.ignored)
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in suffixes.most_common(_SHOWN))
        lists = (
            ("image(s) without mask", self.images_alone),
            ("mask(s) without image", self.masks_alone),
            ("image(s) not used: channels other than _0000, or not photographs", self.unused),
            (f"file(s) of unknown formats ignored ({kinds})", self.ignored),
            ("folder(s) with images not used, because they are not part of the layout", self.not_looked_at),
        )
        lines = [f"{len(paths)} {what}: {self._examples(paths)}" for what, paths in lists if paths]
        if self.clashes:
            more = f"; and {len(self.clashes) - _SHOWN} more" if len(self.clashes) > _SHOWN else ""
            lines.append(
                f"{len(self.clashes)} image(s) not paired, because more than one pairing is possible: "
                f"{'; '.join(self.clashes[:_SHOWN])}{more}. Rename or remove the wrong ones"
            )
        return lines

    def _examples(self, paths: list[Path]) -> str:
        names = [path.relative_to(self.folder).as_posix() for path in paths[:_SHOWN]]
        return ", ".join(names) + (" ..." if len(paths) > _SHOWN else "")


def _pair_parts(folder: Path, layout: str, parts: list[LayoutPart]) -> Pairing:
    whole = Pairing(folder=folder, layout=layout)
    for part in parts:
        matches = match(part)
        whole.pairs += matches.pairs
        whole.images_alone += matches.images_alone
        whole.masks_alone += matches.masks_alone
        whole.clashes += matches.clashes
        whole.unused += matches.unused
        whole.ignored += matches.ignored
        whole.folders |= matches.folders
    with_images = {entry.path if entry.path.is_dir() else entry.path.parent for entry in scan(folder).entries}
    looked_at = whole.folders | {path for path in with_images if _is_ours(path.relative_to(folder))}
    whole.not_looked_at = sorted(with_images - looked_at)
    return whole


def _is_ours(below: Path) -> bool:
    """Whether a folder holds masks that this program merged."""
    return any(name.endswith(MERGED) for name in below.parts)


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
        raise ImageError(
            f"{error.filename or folder}: cannot be listed: {error.strerror or error}. Check its permissions"
        ) from error


def _pair(folder: Path) -> Pairing:
    if not folder.is_dir():
        raise ManifestError(
            f"{folder}: {'is a file' if folder.exists() else 'no such folder'}; expected the folder of a data set"
        )
    tried = []
    for layout in LAYOUTS:
        parts = layout.parts(folder)
        if parts:
            tried.append(_pair_parts(folder, layout.holds, parts))
            if tried[-1].pairs:
                return tried[-1]
    best = tried[0]
    contents = "; ".join(best.remarks()) or "no images at all"
    known = "; ".join(layout.holds for layout in LAYOUTS)
    raise ManifestError(
        f"{folder}: no image could be paired with a mask. Read as {best.layout}, it has {contents}. "
        f"Expected names that are equal except for an ending such as _mask, in one of these layouts: {known}. "
        "Rename the files, or write the manifest by hand (docs/data-format.md)"
    )
