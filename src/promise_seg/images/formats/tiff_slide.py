"""One level of a large TIFF, read in windows: only the tiles or strips of a window are decoded."""

import logging
import threading
from collections import OrderedDict
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import tifffile

from promise_seg.arrays import Array
from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.images.formats.kinds import told_by_content
from promise_seg.images.formats.limits import SparingFile, check_size
from promise_seg.images.formats.opening import states_of
from promise_seg.images.formats.source import COLOURS, Source, finite_range, sampling_facts, sampling_step
from promise_seg.images.formats.tiff import TiffStack, check_segment, damaged_tiff
from promise_seg.images.formats.tiff_colours import is_stored_as_ycbcr, rgb_of_ycbcr
from promise_seg.images.formats.tiff_images import own_series
from promise_seg.images.formats.tiff_pages import check_chain, has_one_page
from promise_seg.images.formats.tiff_sets import files_of_set
from promise_seg.images.formats.tiff_spacing import pixel_size_of
from promise_seg.images.geometry import Box
from promise_seg.images.guarding import guarded
from promise_seg.storage.remote_paths import as_path
from promise_seg.vocabulary import Axis, OutputFormat

LEAST_PIXELS = 2**24
"""Images with fewer pixels are read as a whole, unless one of their levels is requested."""
_LARGEST_SEGMENT = 2**26  # values of a tile or strip, which is decoded as a whole
_CACHE_BYTES = 2**27
_STRIP_ROWS = 256
_CODED_COLOURS = (6, 7, 33003, 33005, 34712)
"""JPEG and JPEG 2000, whose colours are decoded to RGB."""


def open_slide(path: str | Path, level: int = 0) -> "TiffSlide | None":
    """Open one level of a TIFF to read it in windows; ``None`` for files that can be read as a whole.

    Raises:
        ImageError: if there is no such level, or the file is damaged.
    """
    path = as_path(path)
    kind = told_by_content(path)
    if kind is TiffStack:
        found = _opened(path, level, states_of(path))
        if found is not None:
            return found
    if level and kind is not None:
        raise ImageError(f"{path}: has no level {level}, as it is not a pyramid that can be read. Leave --level out")
    return None


@lru_cache(maxsize=2)
def _opened(path: Path, level: int, states: tuple[tuple[int, int], ...]) -> "TiffSlide | None":
    del states
    with guarded(path):
        slide = TiffSlide(path, level=level)
    is_large = slide.height * slide.width >= LEAST_PIXELS
    return slide if slide.is_readable and (level or is_large) else None


class TiffSlide(Source):
    """One level of a pyramid, or a large image, in a TIFF: pixels of 8 or 16 bits, grey or RGB.

    Args:
        path: path of the file.
        axis: ignored.
        level: number of the level, from 0, the finest.

    Raises:
        ImageError: if there is no such level, or the file is damaged.
    """

    kind = "tiff"

    def __init__(self, path: Path, axis: Axis = Axis.AUTO, level: int = 0) -> None:
        del axis
        self.path, self.level = path, level
        self._lock = threading.Lock()
        self._cache: OrderedDict[int, Array | None] = OrderedDict()
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it also logs the errors that it raises
        try:
            with SparingFile(path) as stored, tifffile.TiffFile(stored) as file:
                check_chain(path, file)
                series = own_series(file)[0]
                levels = series.levels
                if level >= len(levels):
                    sizes = ", ".join(f"{one.keyframe.imagewidth} x {one.keyframe.imagelength}" for one in levels)
                    raise ImageError(
                        f"{path}: has no level {level}; it has {len(levels)}, counted from 0: {sizes} pixels. Give "
                        "another --level"
                    )
                page = levels[level].keyframe
                self._page, self._tables, self._header = page, page.jpegtables, page.jpegheader
                self._offsets, self._counts = page.dataoffsets, page.databytecounts
                self.height, self.width = int(page.imagelength), int(page.imagewidth)
                self.size = self.height, self.width
                size = pixel_size_of(file)
                if size is not None:
                    finest = levels[0].keyframe
                    wider = finest.imagelength / self.height, finest.imagewidth / self.width
                    self.spacing = size.rows * wider[0], size.columns * wider[1]
                samples = int(page.samplesperpixel)
                self._is_ycbcr = is_stored_as_ycbcr(path, file, page)
                is_alone = has_one_page(file) and len(files_of_set(path)) == 1
                self.is_readable = is_alone and self._is_plain(page, samples)
                if self.is_readable:
                    self._mapped = self._map() if page.is_memmappable else None
                    if self._mapped is None and int(np.prod(page.chunks)) > _LARGEST_SEGMENT:
                        self.is_readable = False
                    elif self._mapped is None:
                        self._decoder = page.decode  # made here, as for JPEG it reads from the open file
                self.channels = COLOURS if samples > 1 else ("",)
        except PromiseError:
            raise
        except Exception as error:  # tifffile raises whatever its parsing runs into
            raise damaged_tiff(path, error) from error

    @staticmethod
    def _is_plain(page: tifffile.TiffPage, samples: int) -> bool:
        """Whether the stored pixels are the displayed ones, so that they can be read in windows."""
        kinds = tifffile.PHOTOMETRIC
        tag = page.tags.get("Orientation")
        is_colour = page.photometric == kinds.RGB or (
            page.photometric == kinds.YCBCR and page.compression in _CODED_COLOURS
        )
        return (
            page.dtype in (np.uint8, np.uint16)
            and page.bitspersample in (8, 16)
            and (samples in (3, 4) if is_colour else samples == 1 and page.photometric == kinds.MINISBLACK)
            and (samples == 1 or page.planarconfig == tifffile.PLANARCONFIG.CONTIG)
            and page.axes in ("YX", "YXS")
            and (tag is None or int(tag.value) == 1)
        )

    def _map(self) -> Array:
        page = self._page
        kind = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
        return np.memmap(self.path, kind, "r", int(self._offsets[0]), tuple(map(int, page.shape)))

    def __len__(self) -> int:
        return 1

    def output_formats(self) -> list[OutputFormat]:
        """Return TIFF, which is written tile by tile."""
        return [OutputFormat.TIFF]

    def differs_by(self, index: int) -> dict[str, object]:
        found: dict[str, object] = {"level": self.level} if self.level else {}
        return found | {"colours": "converted"} if self._is_ycbcr else found

    def values(self, index: int) -> Array:
        """Return the whole level.

        Raises:
            ImageError: if the level is too large; see also :meth:`window`.
        """
        check_size(self.path, (self.height, self.width, len(self.channels)))
        return self.window(Box(0, 0, self.width, self.height))

    def part(self, box: Box) -> Source:
        """Return a window as a separate image, with the grey levels of the whole."""
        return SlidePart(self, box)

    def window(self, box: Box) -> Array:
        """Return the values of a window: (h, w), or (h, w, 3) in colour.

        Raises:
            ImageError: if a tile or strip of the window is damaged.
        """
        if self._mapped is not None:
            found = np.array(self._mapped[box.top : box.bottom, box.left : box.right]).astype(self._page.dtype)
        else:
            found = self._from_segments(box)
        return found[..., :3] if found.ndim == 3 else found

    def _from_segments(self, box: Box) -> Array:
        samples = int(self._page.samplesperpixel)
        found = np.zeros((box.bottom - box.top, box.right - box.left, samples), self._page.dtype)
        high, wide = self._segment_size
        per_row = -(-self.width // wide)
        for row in range(box.top // high, -(-box.bottom // high)):
            for column in range(box.left // wide, -(-box.right // wide)):
                segment = self._segment(row * per_row + column)
                if segment is None:  # empty, so the writer left it out
                    continue
                y, x = row * high, column * wide
                first_y, first_x = max(y, box.top), max(x, box.left)
                end_y, end_x = min(y + segment.shape[0], box.bottom), min(x + segment.shape[1], box.right)
                found[first_y - box.top : end_y - box.top, first_x - box.left : end_x - box.left] = segment[
                    first_y - y : end_y - y, first_x - x : end_x - x
                ]
        return found if samples > 1 else found[..., 0]

    @property
    def _segment_size(self) -> tuple[int, int]:
        page = self._page
        if page.is_tiled:
            return int(page.tilelength), int(page.tilewidth)
        return min(int(page.rowsperstrip), self.height), self.width

    def _segment(self, number: int) -> Array | None:
        """Return one decoded tile or strip (h, w, S), from the cache if possible; ``None`` if it is left out."""
        with self._lock:
            if number in self._cache:
                self._cache.move_to_end(number)
                return self._cache[number]
        segment = self._decode(number)
        size = max(1, int(np.prod(self._page.chunks)) * np.dtype(self._page.dtype).itemsize)
        with self._lock:
            self._cache[number] = segment
            while len(self._cache) > max(1, _CACHE_BYTES // size):
                self._cache.popitem(last=False)
        return segment

    def _decode(self, number: int) -> Array | None:
        offset, count = int(self._offsets[number]), int(self._counts[number])
        if count == 0:
            return None
        try:
            with SparingFile(self.path) as file:
                file.seek(offset)
                data = file.read(count)
            if len(data) < count:
                raise ValueError(f"it ends {count - len(data):,} bytes too early")
            check_segment(self.path, self._page, data)
            decoded, _, shape = self._decoder(data, number, jpegtables=self._tables, jpegheader=self._header)
            if decoded is None:
                return None
            found = np.asarray(decoded)[0, : shape[1], : shape[2]]
            return rgb_of_ycbcr(found) if self._is_ycbcr else found
        except PromiseError:
            raise
        except MemoryError:
            raise ImageError(f"{self.path}: not enough memory to decode it") from None
        except Exception as error:  # codecs raise whatever they run into
            high, wide = self._segment_size
            row, column = divmod(number, -(-self.width // wide))
            what = "tile" if self._page.is_tiled else "strip"
            raise ImageError(
                f"{self.path}: the {what} at ({column * wide}, {row * high}) of level {self.level} is damaged: "
                f"{first_line(error)}. Copy the file again from where it came, or give another --level"
            ) from error

    def _strips(self) -> list[Box]:
        return [
            Box(0, top, self.width, min(top + _STRIP_ROWS, self.height)) for top in range(0, self.height, _STRIP_ROWS)
        ]

    @cached_property
    def value_range(self) -> tuple[float, float]:
        ranges = [finite_range(self.window(strip)) for strip in self._strips()]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    @cached_property
    def percentile_facts(self) -> dict[str, object]:
        return sampling_facts(self.height * self.width * len(self.channels), len(self.channels))

    def _find_percentiles(self, low: float, high: float) -> tuple[float, float]:
        step = sampling_step(self.height * self.width * len(self.channels), len(self.channels))
        samples, before = [], 0
        for strip in self._strips():
            values = self.window(strip).ravel()
            samples.append(values[-before % step :: step])
            before += len(values)
        found = np.percentile(np.concatenate(samples), [low, high])
        return float(found[0]), float(found[1])


class SlidePart(Source):
    """A window of a :class:`TiffSlide`, with the value range and percentiles of the whole."""

    kind = "tiff"

    def __init__(self, slide: TiffSlide, box: Box) -> None:
        self.path, self._slide, self._box, self.channels = slide.path, slide, box, slide.channels

    def __len__(self) -> int:
        return 1

    def values(self, index: int) -> Array:
        del index
        return self._slide.window(self._box)

    @cached_property
    def value_range(self) -> tuple[float, float]:
        return self._slide.value_range

    def percentiles(self, low: float, high: float) -> tuple[float, float]:
        return self._slide.percentiles(low, high)
