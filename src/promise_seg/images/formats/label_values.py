"""The labels of files whose stored values differ from their displayed values: palettes, and 0 for white.

A mask consists of its values. Their display is only a convention, and its meaning for labels depends on the program
that wrote the file: each function here follows that program if it is known, and returns a note if it is not.
"""

from dataclasses import dataclass

import numpy as np

from promise_seg.arrays import Array, Uint8Array

_SHOWING_PROGRAMS = ("imagemagick", "graphicsmagick", "adobe photoshop", "gimp", "irfanview", "xnview")
"""Programs that save values as displayed: with 0 for white, pixels that are white on the screen are stored as 0."""


@dataclass(frozen=True)
class WhiteIsZero:
    """The meaning of values in a file that declares 0 to be white.

    Args:
        of_image: whether an image must be inverted to be bright where it was bright for its author.
        of_labels: whether the values of a mask must be inverted to have 0 as the background.
        note: the assumption about a mask if the program that wrote it is not known; ``None`` if it is.
    """

    of_image: bool
    of_labels: bool
    note: str | None = None


BLACK_IS_ZERO = WhiteIsZero(of_image=False, of_labels=False)
AS_STORED_NOTE = (
    "declares 0 to be white, but its values are taken as they are: 0 is background, all else is foreground. If that is "
    "the wrong way round, save it again with 0 for black"
)
_FAX_NOTE = (
    "declares 0 to be white and is compressed like a fax, so what is white is taken as foreground. If that is the "
    "wrong way round, save it again with 0 for black"
)


def white_is_zero_in_tiff(software: str, description: str, bits: int, *, is_fax: bool) -> WhiteIsZero:
    """Return the meaning of 0 for white (MinIsWhite) in a TIFF, judged by the program that wrote the file.

    - ``tifffile``, and ``imageio`` with it, declare it for every array of bool, whose ``True`` is stored as 1.
    - ImageJ and Fiji declare it for an inverting lookup table: objects in their binary images are 255, shown black.
    - Programs that display and save images, and all that compress like a fax, store 0 for pixels displayed white.

    Args:
        software: the tag Software; empty if there is none.
        description: the tag ImageDescription; empty if there is none.
        bits: number of bits of each value.
        is_fax: whether the file is compressed by one of the methods of CCITT.
    """
    if description.startswith("ImageJ="):
        return WhiteIsZero(of_image=True, of_labels=False)
    if bits == 1 and (software.lower().startswith("tifffile") or description.startswith('{"shape":')):
        return BLACK_IS_ZERO
    if software.lower().startswith(_SHOWING_PROGRAMS):
        return WhiteIsZero(of_image=True, of_labels=True)
    if is_fax:
        return WhiteIsZero(of_image=True, of_labels=True, note=_FAX_NOTE)
    return WhiteIsZero(of_image=True, of_labels=False, note=AS_STORED_NOTE)


def inverted(values: Array, bits: int) -> Array:
    """Return inverted values, the greatest becoming 0: whole numbers of ``bits`` bits, or bool."""
    if values.dtype == bool:
        return np.asarray(~values)
    return ((1 << bits) - 1 - values.astype(np.int64)).astype(values.dtype)


def labels_of_palette(indices: Array, palette: Uint8Array, *, of_grey: bool) -> tuple[Array, str | None]:
    """Return the labels of an image with a palette, and a note if their meaning is uncertain.

    Only the palette decides, not the entries that a file uses, so a class has the same number in all files.

    - Two grey levels: the grey levels. A colour, then black: 0 where black, 1 elsewhere.
    - Other palettes: the indices, except for grey palettes that do not ascend: such files are grey images with an
      optimized palette, so their grey levels are returned.

    Args:
        indices: indices (H, W), whole numbers.
        palette: colours (N, 3).
        of_grey: whether the format always has a palette, so that a palette of grey levels means a grey image.
    """
    colours = np.unique(palette, axis=0)
    is_grey = bool((palette == palette[:, :1]).all())
    if len(colours) == 2 and is_grey:
        return palette[indices, 0], None
    if len(colours) == 2 and not colours[0].any() and palette[0].any():
        return (palette[indices].max(-1) > 0).astype(np.uint8), None
    if is_grey:
        return _labels_of_greys(indices, palette[:, 0], of_grey=of_grey)
    used = np.unique(indices)
    black = used[palette[used].max(-1) == 0]
    if len(black) and black[0] != 0 and palette[0].any():
        return indices, (
            f"has a palette in which 0 is in colour ({', '.join(map(str, palette[0].tolist()))}) and {int(black[0])} "
            "is black; the indices are taken as labels, 0 as background. If black is the background, save it so"
        )
    return indices, None


def _labels_of_greys(indices: Array, greys: Uint8Array, *, of_grey: bool) -> tuple[Array, str | None]:
    known = greys[: np.flatnonzero(greys)[-1] + 1] if greys.any() else greys[:1]  # without padding by black at the end
    if np.array_equal(known, np.arange(len(known))):
        return indices, None
    if of_grey or (np.diff(known.astype(np.int64)) <= 0).any():
        return greys[indices], None
    return indices, (
        f"has a palette of grey levels, in which {len(known) - 1} is shown as {known[-1]}; the indices are taken as "
        "labels. If the grey levels are meant, save it as greyscale"
    )
