"""Find the image that annotations belong to, by the name that they state."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from promise_seg.curation.annotations.shapes import AnnotatedImage
from promise_seg.curation.pairing.scanning import composed, scan
from promise_seg.errors import ImageError
from promise_seg.images.folder_names import MASK_FOLDERS
from promise_seg.images.formats.kinds import stem_of
from promise_seg.images.own_folders import MASKS_BESIDE_A_MANIFEST

_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
_ELSEWHERE = frozenset({".svs", ".ndpi", ".mrxs", ".scn", ".heic", ".heif", ".jfif", ".jp2"})
_EXPORT = re.compile(r"segmentation(class|object)\w*", re.IGNORECASE)
_SHOWN = 3


def plain_name(name: str) -> str:
    """Return a name in the form in which names are compared: in lower case, and composed letters for accents."""
    return composed(name).lower()


class AmbiguousNameError(ImageError):
    """Several images, the ``candidates``, match the name that annotations state."""

    def __init__(self, words: str, candidates: Sequence[Path]) -> None:
        super().__init__(words)
        self.candidates = list(candidates)


class ImageFiles:
    """The images in a folder and below it, without masks exported there by this program or others.

    ``paths`` are the images outside of folders with the name of a mask folder (``masks/a.png``). Images in such folders
    are only used if annotations name them and no other image has that name.

    Args:
        folder: folder of the images.
        without: images that are annotations themselves.
    """

    def __init__(self, folder: Path, without: Collection[Path] = ()) -> None:
        self.folder = folder
        known = [entry for entry in scan(folder).entries if entry.path not in without and not _is_export(entry.parent)]
        self.paths = [entry.path for entry in known if not _is_of_masks(entry.parent)]
        self._in_mask_folders = {entry.path for entry in known if _is_of_masks(entry.parent)}
        self._by_name = defaultdict[str, list[Path]](list)
        self._by_stem = defaultdict[str, list[Path]](list)
        self._by_uploaded = defaultdict[str, list[Path]](list)
        for path in (entry.path for entry in known):
            self._by_name[plain_name(path.name)].append(path)
            self._by_stem[plain_name(stem_of(path))].append(path)
            forms = {path.name, *(unicodedata.normalize(form, path.name) for form in ("NFC", "NFD"))}
            for name in {_as_uploaded(form) for form in forms}:  # accents that are apart are lost in an upload
                self._by_uploaded[name].append(path)

    def find(self, image: AnnotatedImage, annotations: Path, *, follow_paths: bool) -> Path | None:
        """Return the image that annotations belong to; ``None`` if there is none.

        The image is searched by its name, then by the name that Label Studio gives to uploads, then by its stem, as
        annotations are often made on a copy in another format. Among several candidates, the image in folders with the
        same names as in the annotations is used.

        Args:
            image: the annotations of an image.
            annotations: the file that contains them.
            follow_paths: whether the name may also be a path relative to that file, out of the folder.

        Raises:
            AmbiguousNameError: if several images match equally well.
        """
        if image.image is not None:
            return image.image
        name = PurePosixPath(image.name.replace("\\", "/"))
        for candidates in self._candidates(name.name):
            if candidates:
                return self._best(candidates, name, annotations)
        outside = annotations.parent / name
        return _without_steps_up(outside) if follow_paths and name.name and _is_file(outside) else None

    def _candidates(self, name: str) -> tuple[list[Path], ...]:
        uploaded = _UPLOADED.fullmatch(name)
        stem = Path(name).stem if Path(name).suffix.lower() in _ELSEWHERE else stem_of(Path(name))
        return (
            self._by_name.get(plain_name(name), []),
            self._by_uploaded.get(_as_uploaded(uploaded[1]), []) if uploaded else [],
            self._by_stem.get(plain_name(stem), []),
            self._by_stem.get(plain_name(stem_of(Path(uploaded[1]))), []) if uploaded else [],
        )

    def _best(self, candidates: list[Path], name: PurePosixPath, annotations: Path) -> Path:
        def fit(path: Path) -> tuple[int, bool, bool, bool]:
            is_likely = path not in self._in_mask_folders
            return _same_end(path, name), is_likely, path.name == name.name, path.parent == annotations.parent

        best = max(map(fit, candidates))
        chosen = [path for path in candidates if fit(path) == best]
        if len(chosen) > 1:
            names = ", ".join(path.relative_to(self.folder).as_posix() for path in chosen[:_SHOWN])
            raise AmbiguousNameError(f"{name} may be any of {len(chosen)} images: {names}; see --images", chosen)
        return chosen[0]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # the name is not valid for a file
        return False


def _without_steps_up(path: Path) -> Path:
    """Return the path of the same file without ``..``, so that it shows the folder of the file."""
    plain = Path(os.path.normpath(path))
    return plain if plain.exists() and plain.samefile(path) else path.resolve()  # links may lead elsewhere


def _is_export(parent: str) -> bool:
    """Whether a folder contains masks exported by this program or others, by its name."""
    return any(part.endswith(MASKS_BESIDE_A_MANIFEST) or _EXPORT.fullmatch(part) for part in parent.split("/"))


def _is_of_masks(parent: str) -> bool:
    """Whether a folder has a common name of mask folders."""
    return any(re.sub(r"[ _-]", "", part.lower()) in MASK_FOLDERS for part in parent.split("/"))


def _same_end(path: Path, name: PurePosixPath) -> int:
    """Return the number of parent folders, from the file upwards, that have the same names in both paths."""
    count = 0
    for one, other in zip(reversed(path.parts[:-1]), reversed(name.parts[:-1]), strict=False):
        if plain_name(one) != plain_name(other):
            break
        count += 1
    return count


def _as_uploaded(name: str) -> str:
    """Return a name as Label Studio writes it after its eight hexadecimal digits: without spaces and most symbols."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_")).lower()
