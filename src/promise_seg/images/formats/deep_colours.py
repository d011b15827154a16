"""Colours and transparency with more than 8 bits in PNG, JPEG 2000 and PPM, which Pillow reduces to 8 bits."""

import re
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from promise_seg.arrays import Array, Uint8Array
from promise_seg.errors import ImageError, first_line
from promise_seg.images.formats.limits import SparingFile

_CODESTREAM = b"\xff\x4f\xff\x51"
_PRECISIONS = 42
"""Offset of the precision of the first component from the start of a codestream. Source: ITU-T T.800, A.5.1."""
_COMMENT = re.compile(rb"#[^\r\n]*")
_TOLERANCE = 2
"""The most that 8-bit values decoded by Pillow may differ from those expected, because of rounding."""


@dataclass(frozen=True)
class Depth:
    """The highest value that a file can store, and the offset of its pixels if they are not compressed."""

    most: int
    offset: int = 0
    is_text: bool = False


def depth_of(image: Image.Image, file: SparingFile) -> Depth | None:
    """Return the depth of an image in colour or with transparency, before it is decoded; ``None`` for 8 bits and less.

    Grey without transparency is not asked for, because Pillow keeps its 16 bits.
    """
    if image.mode not in {"LA", "RGB", "RGBA"}:
        return None
    if image.format == "JPEG2000":
        bits = bits_of_jpeg_2000(file)
        return Depth(2**bits - 1) if bits > 8 else None
    codec, offset, arguments = tile_of(image)
    if codec == "zip" and str(arguments).endswith(";16B"):
        return Depth(65535)
    if codec in {"ppm", "ppm_plain"} and isinstance(arguments, tuple) and int(arguments[-1]) > 255:
        return Depth(int(arguments[-1]), offset, codec == "ppm_plain")
    return None


def tile_of(image: Image.Image) -> tuple[str, int, object]:
    """Return Pillow's codec, offset and arguments for the pixels of an image that is not decoded yet."""
    tiles = getattr(image, "tile", [])
    codec, _, offset, arguments = tiles[0] if tiles else ("", None, 0, ())
    return codec, offset, arguments


def bits_of_jpeg_2000(file: SparingFile) -> int:
    """Return the highest number of bits of the components of a JPEG 2000 file; 0 if it has no valid header."""
    data = _content(file)
    at = data.find(_CODESTREAM)
    count = int.from_bytes(data[at + _PRECISIONS - 2 : at + _PRECISIONS])
    precisions = data[at + _PRECISIONS : at + _PRECISIONS + 3 * count : 3]
    return 0 if at < 0 else max(((one & 0x7F) + 1 for one in precisions), default=0)


def deep_values(path: Path, file: SparingFile, image: Image.Image, depth: Depth) -> Array | None:
    """Return the stored values (H, W, samples) of a deep image; ``None`` if they are 8-bit values widened to 16 bits.

    Args:
        path: path of the file, for messages.
        file: the open file.
        image: the same image, decoded by Pillow, which found the file undamaged.
        depth: the result of :func:`depth_of`.

    Raises:
        ImageError: if the values cannot be decoded, or contradict those of Pillow.
    """
    eight = np.asarray(image)
    try:
        deep = _decoded(_content(file), image, depth)
        deep = deep[..., : eight.shape[2]]  # a transparent colour, which Pillow ignores, is decoded as transparency
        seen = eight[..., [0, -1]] if deep.shape[2] == 2 else eight
        if np.array_equal(seen.astype(np.uint16) * 257, deep):
            return None
        is_same = deep.shape == seen.shape and _nearly(seen, deep, depth.most)
        why = "its two decoders disagree"
    except MemoryError:
        raise ImageError(f"{path}: not enough memory to decode it") from None
    except Exception as error:  # codecs raise whatever they run into
        is_same, why = False, first_line(error)
    if not is_same:
        raise ImageError(
            f"{path}: has more than 8 bits for each colour, stored in an unusual way ({why}). Save it as TIFF, or with "
            "8 bits"
        )
    return deep


def _content(file: SparingFile) -> bytes:
    at = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(at)
    return data


def _decoded(data: bytes, image: Image.Image, depth: Depth) -> Array:
    if image.format == "PNG":
        return np.asarray(imagecodecs.png_decode(data))
    if image.format == "JPEG2000":
        return np.asarray(imagecodecs.jpeg2k_decode(data))
    shape = image.height, image.width, 3
    if depth.is_text:
        words = _COMMENT.sub(b"", data[depth.offset :]).split()[: int(np.prod(shape))]
        return np.array(words, np.int64).astype(np.uint16).reshape(shape)
    return np.frombuffer(data, ">u2", int(np.prod(shape)), depth.offset).reshape(shape).astype(np.uint16)


def _nearly(seen: Uint8Array, deep: Array, most: int) -> bool:
    """Whether 8-bit values (H, W, samples) are those of deep ones, row by row to save memory.

    Pillow rounds the highest values of JPEG 2000 up to 256, and stores them as 0.
    """
    for eight, row in zip(seen, deep, strict=True):
        away = np.rint(np.clip(row * (255 / most), 0, 255)).astype(np.uint8) - eight  # modulo 256
        if np.minimum(away, -away).max() > _TOLERANCE:
            return False
    return True
