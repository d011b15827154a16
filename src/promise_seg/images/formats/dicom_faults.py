"""Errors about damaged DICOM files."""

import re
import struct
from pathlib import Path

from pydicom.errors import BytesLengthException

from promise_seg.errors import ImageError, first_line

PARSE_ERRORS = (
    TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError, EOFError,
    OSError, struct.error, BytesLengthException,
)  # fmt: skip
"""The exceptions that invalid elements cause here or in pydicom, which also raises assertion and file errors."""


_LACKING = re.compile(r"^'\w+' object has no attribute '(\w+)'$")


def damaged(path: Path, error: Exception) -> ImageError:
    """Return the error for a file that the library could not parse."""
    lacking = _LACKING.match(str(error))
    reason = f"it has no {lacking[1]}" if lacking else first_line(error)
    return ImageError(f"{path}: damaged or truncated: {reason}. Export it again from its source")


def in_line(text: object) -> str:
    """Join the lines of a message about a damaged element, or from several decoders, into one line."""
    return " ".join(str(text).split()).rstrip(".")
