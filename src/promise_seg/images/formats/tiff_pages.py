"""The slices and channels among the pages of a TIFF, and the names of the channels."""

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from defusedxml import ElementTree

from promise_seg.errors import ImageError
from promise_seg.images.formats.tiff_images import CHANNEL, leading_axes, own_pages, own_series
from promise_seg.images.formats.tiff_sets import own_images

_UNKNOWN = frozenset("IQ")
"""The axes of pages whose meaning a file does not state."""
_SLIDE_KINDS = frozenset(("bif", "ndpi", "qpi", "svs"))
_ACCOMPANYING = frozenset(("Label", "Macro", "Map", "Thumbnail"))
"""The formats of slide scanners, and the images other than the slide in their files, as ``tifffile`` names them."""

PageIndex = tuple[int, int]
"""The number of a series, and of a page in it."""


def pages_of(path: Path, file: tifffile.TiffFile) -> tuple[list[PageIndex], npt.NDArray[np.intp]]:
    """Return the places of the pages, and the page number of each slice and channel: (slices, channels).

    Programs that add page by page write each as a series. Smaller copies of the same image are left out, and so are
    the thumbnail, label and overview of a slide, and images of an OME-TIFF that are in its other files.

    Raises:
        ImageError: if pages are of different kinds, or channels are in colour.
    """
    own, number_of = own_series(file), {id(series): number for number, series in enumerate(file.series)}
    found: list[PageIndex] = []
    rows: list[npt.NDArray[np.intp]] = []
    for series in own:
        if series is not own[0] and _accompanies_slide(series):
            continue
        if _kind(series) == _kind(own[0]):
            numbers = _by_channel(path, file, series)
            rows.append(np.arange(numbers.size).reshape(numbers.shape) + len(found))
            found += [(number_of[id(series)], int(at)) for at in numbers.ravel()]
        elif not series.keyframe.is_reduced:
            raise ImageError(
                f"{path}: has pages of different kinds ({_words(own[0])}, and {_words(series)}); expected an image, or "
                "a stack of equal ones. Save them as files of their own"
            )
    if len(rows) > 1 and max(one.shape[1] for one in rows) > 1:
        raise ImageError(f"{path}: has several images with channels; expected one. Save them as files of their own")
    return found, np.concatenate(rows)


def has_one_page(file: tifffile.TiffFile) -> bool:
    """Whether a file has a single page, apart from smaller copies and from pages of other kinds."""
    first, *others = own_series(file)
    alike = [one for one in others if _kind(one) == _kind(first) and not _accompanies_slide(one)]
    return len(first.pages) == 1 and not alike


def _kind(series: tifffile.TiffPageSeries) -> tuple[object, ...]:
    page = series.keyframe
    return page.shape, page.dtype, page.axes


def _accompanies_slide(series: tifffile.TiffPageSeries) -> bool:
    """Whether a slide scanner wrote a series next to the slide: the thumbnail of Aperio does not say it is reduced."""
    return series.kind in _SLIDE_KINDS and series.name in _ACCOMPANYING


def _by_channel(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> npt.NDArray[np.intp]:
    """Return the numbers of the pages of a series: (slices, channels)."""
    page, numbers = series.keyframe, own_pages(file, series)
    if CHANNEL not in series.axes:
        return numbers.reshape(-1, 1)
    axes, shape = leading_axes(series), series.shape[: len(series.shape) - len(page.shape)]
    if page.axes != "YX" or CHANNEL not in axes or len(axes) != len(shape) or prod(shape) != len(series.pages):
        raise ImageError(
            f"{path}: has channels (axes {series.axes}) that are not grey pages. Save the ones that are wanted, each "
            "as a grey page"
        )
    return np.moveaxis(numbers, axes.index(CHANNEL), -1).reshape(-1, shape[axes.index(CHANNEL)])


def are_of_unknown_meaning(file: tifffile.TiffFile) -> bool:
    """Whether a file does not state whether its pages are slices or channels."""
    own = own_series(file)
    return set("".join(map(leading_axes, own))) <= _UNKNOWN and own[0].keyframe.axes == "YX"


def channel_names(path: Path, file: tifffile.TiffFile, count: int) -> tuple[str, ...]:
    """Return the names of the channels of the file's first image in the OME metadata; empty names if there are none."""
    nameless = ("",) * count
    try:
        if not file.ome_metadata:
            return nameless
        images = own_images(path, ElementTree.fromstring(file.ome_metadata))
        image = tifffile.xml2dict(ElementTree.tostring(images[0], encoding="unicode"))["Image"]
        channels = _first(image.get("Pixels")).get("Channel") or []
        channels = channels if isinstance(channels, list) else [channels]
        names = tuple(str(channel.get("Name") or "").strip() for channel in channels)
    except Exception:  # an invalid description only means that there are no names
        return nameless
    return names if len(names) == count else nameless


def _first(value: Any) -> Mapping[str, Any]:
    one = value[0] if isinstance(value, list) else value
    return one if isinstance(one, Mapping) else {}


def _words(series: tifffile.TiffPageSeries) -> str:
    page = series.keyframe
    return f"{' x '.join(map(str, page.shape))} {page.dtype}"


def check_chain(path: Path, file: tifffile.TiffFile) -> None:
    """Refuse a chain of pages that forms a loop, which tifffile would follow indefinitely, or leads beyond the file.

    tifffile takes the latter for the end of the pages, so a truncated stack would seem to have fewer slices.
    """
    layout, handle = file.tiff, file.filehandle
    handle.seek(8 if layout.is_bigtiff else 4)
    seen: set[int] = set()
    try:
        while at := struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))[0]:
            if at in seen:
                raise ImageError(f"{path}: damaged: its pages refer to each other in a circle. Save it again as TIFF")
            seen.add(at)
            handle.seek(at)
            (count,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
            handle.seek(at + layout.tagnosize + count * layout.tagsize)
    except struct.error:
        raise ImageError(f"{path}: damaged or truncated: it ends before its last page. Save it again") from None
