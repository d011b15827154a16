"""Decode the kinds of JPEG that pydicom needs help with: lossless, 12-bit, and truncated JPEG-LS.

This module is a plugin of ``pydicom``; ``imagecodecs`` and, for JPEG-LS, ``pyjpegls`` do the decoding.
"""

import imagecodecs
import numpy as np
from pydicom.pixels.decoders import pyjpegls
from pydicom.pixels.decoders.base import (
    DecodeRunner,
    JPEGExtended12BitDecoder,
    JPEGLosslessDecoder,
    JPEGLosslessSV1Decoder,
    JPEGLSLosslessDecoder,
    JPEGLSNearLosslessDecoder,
)
from pydicom.uid import (
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

_LABEL = "imagecodecs"
_LS_LABEL = "pyjpegls-ended"
_LS_SYNTAXES = (JPEGLSLossless, JPEGLSNearLossless)
DECODER_DEPENDENCIES = dict.fromkeys((JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1), ("imagecodecs",)) | (
    dict.fromkeys(_LS_SYNTAXES, ("pyjpegls",))
)
_END = b"\xff\xd9"


def is_available(uid: str) -> bool:
    """Whether a transfer syntax is decoded here; called by pydicom."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytearray:
    """Decode the pixels of one frame, row by row; called by pydicom."""
    pixels = np.ascontiguousarray(imagecodecs.jpeg_decode(bytes(source)))
    runner.set_option("bits_allocated", pixels.dtype.itemsize * 8)
    return bytearray(pixels.tobytes())


def decode_ls_frame(source: bytes, runner: DecodeRunner) -> bytearray:
    """Decode a JPEG-LS frame, with an end marker added if missing: CharLS may search for it indefinitely."""
    ended = _END in source[-4:]
    return pyjpegls._decode_frame(source if ended else source + _END, runner)


def register() -> None:
    """Register the decoders of this module with pydicom; repeated calls have no effect."""
    for decoder in (JPEGExtended12BitDecoder, JPEGLosslessDecoder, JPEGLosslessSV1Decoder):
        if _LABEL not in decoder.available_plugins:
            decoder.add_plugin(_LABEL, (__name__, "decode_frame"))
    for decoder in (JPEGLSLosslessDecoder, JPEGLSNearLosslessDecoder):
        if "pyjpegls" in decoder.available_plugins:
            decoder.add_plugin(_LS_LABEL, (__name__, "decode_ls_frame"))
            decoder.remove_plugin("pyjpegls")
