"""OME-TIFFs of several files: each file, or the first, names the files in which the other pages are."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import tifffile
from defusedxml import DefusedXmlException, ElementTree

from promise_seg.errors import ImageError
from promise_seg.images.formats.companions import companion_if_there
from promise_seg.images.formats.limits import SparingFile
from promise_seg.storage.remote_paths import RemotePath


def files_of_set(path: Path) -> list[Path]:
    """Return a TIFF, and then the other files that its OME metadata name, in their order.

    A file that cannot be parsed is returned alone, because opening it reports the error. Missing files are left out,
    because they may hold other images only; reading a page that is in one of them reports the error.

    Raises:
        ImageError: if another file is in another folder, or the TIFF is on an object store.
    """
    try:
        state = path.stat()
    except OSError:
        return [path]
    names = _other_names(path, state.st_mtime_ns, state.st_size)
    if names and isinstance(path, RemotePath):
        raise ImageError(
            f"{path}: an OME-TIFF of {len(names) + 1} files, which cannot be read at an address. Copy the files to "
            "this computer, or save them as one file"
        )
    found = (companion_if_there(path, name) for name in names)
    return [path, *(file for file in found if file is not None)]


def no_page(path: Path) -> ImageError:
    """Return the error for a page of an OME-TIFF that is in none of its files."""
    return ImageError(
        f"{path}: its OME metadata name a page that is not there. If the image has several files, copy all of them "
        "into one folder; otherwise save it again"
    )


@contextmanager
def opened(page: tifffile.TiffPage | tifffile.TiffFrame) -> Iterator[tifffile.FileHandle]:
    """Open the file of a page for a while, if it is another file of the same OME-TIFF, which ``tifffile`` closes."""
    handle = page.parent.filehandle
    is_closed = handle.closed
    if is_closed:
        handle.open()
    try:
        yield handle
    finally:
        if is_closed:
            handle.close()


@lru_cache(maxsize=2**14)
def _other_names(path: Path, modified: int, size: int) -> tuple[str, ...]:
    """Return the names of the other files in the metadata, without duplicates.

    The time of modification and the size tell the cache that a file has changed; each access to a TIFF asks for this.
    """
    del modified, size
    try:
        with SparingFile(path) as stored, tifffile.TiffFile(stored) as file:
            text = file.ome_metadata
        if not text or "FileName" not in text:
            return ()
        root = ElementTree.fromstring(text)
    except DefusedXmlException:
        raise ImageError(f"{path}: its OME metadata define entities, which is not allowed. Save it again") from None
    except Exception:  # tifffile and the parser raise whatever they run into
        return ()
    own, names = root.get("UUID"), dict[str, None]()
    for element in root.iter():
        name = element.get("FileName")
        if name is None or not element.tag.endswith("UUID"):
            continue
        if own is None and name.lower() == path.name.lower():
            own = element.text
        if element.text != own:  # a file that was renamed is recognized by its identifier
            names[name] = None
    return tuple(names)
