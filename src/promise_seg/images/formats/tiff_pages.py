"""The slices and channels among the pages of a TIFF, and the names of the channels."""

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from promise_seg.errors import ImageError

_CHANNEL = "C"
_UNKNOWN = frozenset("IQ")
"""The axes of pages whose meaning a file does not state."""
_SLIDE_KINDS = frozenset(("bif", "ndpi", "qpi", "svs"))
_ACCOMPANYING = frozenset(("Label", "Macro", "Map", "Thumbnail"))
"""The formats of slide scanners, and the images other than the slide in their files, as ``tifffile`` names them."""

PageIndex = tuple[int, int]
"""The number of a series, and of a page in it."""


def pages_of(path: Path, file: tifffile.TiffFile) -> tuple[list[PageIndex], npt.NDArray[np.intp]]:
    """Return the places of the pages, and the page number of each slice and channel: (slices, channels).

    Programs that add page by page write each as a series. Smaller copies of the same image are left out,
    and so are the thumbnail, label and overview of a slide.

    Raises:
        ImageError: if pages are of different kinds, or channels are in colour.
    """
    first = file.series[0].keyframe
    found: list[PageIndex] = []
    grid: npt.NDArray[np.intp] | None = None
    for number, series in enumerate(file.series):
        page = series.keyframe
        if number and _accompanies_slide(series):
            continue
        if (page.shape, page.dtype, page.axes) == (first.shape, first.dtype, first.axes):
            found += [(number, at) for at in range(len(series.pages))]
            if _CHANNEL in series.axes:
                grid = _by_channel(path, series)
        elif not page.is_reduced:
            raise ImageError(
                f"{path}: has pages of different kinds ({_words(first)}, and {_words(page)}); expected a picture, or a "
                "stack of equal ones. Save them as files of their own"
            )
    if grid is None:
        return found, np.arange(len(found))[:, None]
    if grid.size != len(found):
        raise ImageError(f"{path}: has several pictures with channels; expected one. Save them as files of their own")
    return found, grid


def _accompanies_slide(series: tifffile.TiffPageSeries) -> bool:
    """Whether a slide scanner wrote a series next to the slide: the thumbnail of Aperio does not say it is reduced."""
    return series.kind in _SLIDE_KINDS and series.name in _ACCOMPANYING


def _by_channel(path: Path, series: tifffile.TiffPageSeries) -> npt.NDArray[np.intp]:
    page = series.keyframe
    axes, shape = series.axes.removesuffix(page.axes), series.shape[: len(series.shape) - len(page.shape)]
    if page.axes != "YX" or _CHANNEL not in axes or len(axes) != len(shape) or prod(shape) != len(series.pages):
        raise ImageError(
            f"{path}: has channels (axes {series.axes}) that are not grey pages. Save the ones that are wanted, each "
            "as a grey page"
        )
    numbers = np.arange(prod(shape)).reshape(shape)
    return np.moveaxis(numbers, axes.index(_CHANNEL), -1).reshape(-1, shape[axes.index(_CHANNEL)])


def are_of_unknown_meaning(file: tifffile.TiffFile) -> bool:
    """Whether a file does not state whether its pages are slices or channels."""
    leading = "".join(series.axes.removesuffix(series.keyframe.axes) for series in file.series)
    return set(leading) <= _UNKNOWN and file.series[0].keyframe.axes == "YX"


def channel_names(file: tifffile.TiffFile, count: int) -> tuple[str, ...]:
    """Return the names of channels in the OME metadata; empty names if there are none."""
    nameless = ("",) * count
    try:
        root = tifffile.xml2dict(file.ome_metadata)["OME"] if file.ome_metadata else {}
        image = _first(root.get("Image"))
        channels = _first(image.get("Pixels")).get("Channel") or []
        channels = channels if isinstance(channels, list) else [channels]
        names = tuple(str(channel.get("Name") or "").strip() for channel in channels)
    except Exception:  # an invalid description only means that there are no names
        return nameless
    return names if len(names) == count else nameless


def _first(value: Any) -> Mapping[str, Any]:
    one = value[0] if isinstance(value, list) else value
    return one if isinstance(one, Mapping) else {}


def _words(page: tifffile.TiffPage) -> str:
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
