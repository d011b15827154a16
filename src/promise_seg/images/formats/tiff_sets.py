"""OME-TIFFs of several files: each file, or the first, names the files in which the other pages are."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from xml.etree.ElementTree import Element

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


def own_images(path: Path, root: Element) -> list[Element]:
    """Return the ``<Image>`` elements of OME metadata that have a plane in the file, or the only one if none has.

    A file that was renamed is recognized by its identifier.
    """
    images = [element for element in root if _is(element, "Image")]
    own = _own_identifier(path, root)
    found = [one for one in images if any(identifier in (None, own) for identifier, _ in _files_of_planes(one))]
    return found or (images if len(images) == 1 else [])


def _files_of_planes(image: Element) -> Iterator[tuple[str | None, str | None]]:
    """Yield the identifier and the name of the file of each plane, or planes; ``None`` for the file itself."""
    for element in image.iter():
        if _is(element, "TiffData"):
            named = next((one for one in element if _is(one, "UUID")), None)
            yield (None, None) if named is None else (named.text, named.get("FileName"))


def _own_identifier(path: Path, root: Element) -> str | None:
    named = (found for image in root.iter() if _is(image, "Image") for found in _files_of_planes(image))
    same_name = (identifier for identifier, name in named if name and name.lower() == path.name.lower())
    return root.get("UUID") or next(same_name, None)


def _is(element: Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name


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
    """Return the names of the other files with planes of the images in this file, without duplicates.

    The metadata of each file of a set describe all images of the set, such as the positions of a microscope's stage.
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
    own = _own_identifier(path, root)
    planes = (found for image in own_images(path, root) for found in _files_of_planes(image))
    return tuple(dict.fromkeys(name for identifier, name in planes if name is not None and identifier != own))
