"""Two kinds of JPEG that DICOM uses, lossless and with 12 bits, which pydicom decodes only with help.

``pydicom`` knows this file as a plugin; the decoding itself is done by ``imagecodecs``.
"""

import imagecodecs
import numpy as np
from pydicom.pixels.decoders.base import (
    DecodeRunner,
    JPEGExtended12BitDecoder,
    JPEGLosslessDecoder,
    JPEGLosslessSV1Decoder,
)
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

_LABEL = "imagecodecs"
DECODER_DEPENDENCIES = dict.fromkeys((JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1), ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether a transfer syntax is decoded here; pydicom asks."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytearray:
    """One frame's code to its pixels, row by row; pydicom calls it."""
    pixels = np.ascontiguousarray(imagecodecs.jpeg_decode(bytes(source)))
    runner.set_option("bits_allocated", pixels.dtype.itemsize * 8)
    return bytearray(pixels.tobytes())


def register() -> None:
    """Let pydicom use this file; once is enough, and more does no harm."""
    for decoder in (JPEGExtended12BitDecoder, JPEGLosslessDecoder, JPEGLosslessSV1Decoder):
        if _LABEL not in decoder.available_plugins:
            decoder.add_plugin(_LABEL, (__name__, "decode_frame"))
