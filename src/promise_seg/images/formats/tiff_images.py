"""The images of a TIFF among the series that ``tifffile`` finds: OME metadata describe all images of a set of files."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from promise_seg.errors import ImageError

_KINDS_OF_SETS = ("ome", "mmstack")
"""The formats, as ``tifffile`` names them, whose metadata describe images in other files too."""
CHANNEL = "C"
_POSITION = "R"
"""The axis of stage positions in the stacks of Micro-Manager, each of which is an image of its own."""


def own_series(file: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the series with a page in the file itself; all series if there is none, as in a renamed file."""
    return [one for one in file.series if _is_own(file, one)] or list(file.series)


def _is_own(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> bool:
    return series.kind not in _KINDS_OF_SETS or _has_page_in(file, series, range(len(series.pages)))


def own_pages(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> npt.NDArray[np.intp]:
    """Return the numbers of the pages of a series without the positions that are in other files only.

    The array has the leading axes of the series, those before the axes of a page.
    """
    axes = leading_axes(series)
    numbers = np.arange(len(series.pages))
    shape = series.shape[: len(axes)]
    if _POSITION not in axes or np.prod(shape) != len(numbers):
        return numbers.reshape(shape) if np.prod(shape) == len(numbers) else numbers
    numbers, along = numbers.reshape(shape), axes.index(_POSITION)
    own = [at for at in range(shape[along]) if _has_page_in(file, series, numbers.take(at, along).ravel())]
    return numbers.take(own or range(shape[along]), along)


def leading_axes(series: tifffile.TiffPageSeries) -> str:
    """Return the axes of a series along which its pages are arranged, such as ``ZC``."""
    return str(series.axes.removesuffix(series.keyframe.axes))


def check_images(path: Path, file: tifffile.TiffFile) -> str | None:
    """Return a note if a file has several images of one plane each, or stacks of several points in time.

    Both are read as one stack, like plain pages.

    Raises:
        ImageError: if it has several images of several planes, which would become one stack, or if all of several
            images are in other files.
    """
    own = own_series(file)
    of_sets = [one for one in own if one.kind in _KINDS_OF_SETS]
    counts = [count for one in of_sets for count in _planes_of_images(file, one)]
    if len(counts) < 2:
        return _note_on_axes(path, own[0])
    if not _is_own(file, own[0]):
        raise ImageError(
            f"{path}: its metadata describe {len(counts)} images in other files; expected one in this file. If it was "
            "renamed, give it its old name"
        )
    if max(counts) > 1:
        raise ImageError(
            f"{path}: has {len(counts)} images of up to {max(counts)} planes each, by its metadata; expected one "
            "image, as their planes are not one stack. Save each image as a file of its own"
        )
    return (
        f"{path}: has {len(counts)} images of one plane each, by its metadata; they are read as the slices of one stack"
    )


def _note_on_axes(path: Path, series: tifffile.TiffPageSeries) -> str | None:
    """Return a note on pages with several axes other than channels, such as time and depth, if there are."""
    sizes = zip(leading_axes(series), series.shape, strict=False)
    axes = [f"{size} ({axis})" for axis, size in sizes if axis not in (CHANNEL, _POSITION)]
    if len(axes) < 2:
        return None
    found = " x ".join(axes)
    return f"{path}: has {found} pages by its metadata; they are read as the slices of one stack, in this order"


def _planes_of_images(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> list[int]:
    """Return the number of planes of each image in a series: of each position, if it has several."""
    axes, numbers = leading_axes(series), own_pages(file, series)
    if _POSITION not in axes or numbers.ndim != len(axes):
        return [numbers.size]
    count = numbers.shape[axes.index(_POSITION)]
    return [numbers.size // count] * count


def _has_page_in(
    file: tifffile.TiffFile, series: tifffile.TiffPageSeries, numbers: range | npt.NDArray[np.intp]
) -> bool:
    pages = (series.pages[int(number)] for number in numbers)
    return any(page is not None and page.parent is file for page in pages)
