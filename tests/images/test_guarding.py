"""Whatever an image runs into is one line that names it."""

import errno

import pytest

from promise_seg.errors import ImageError, MaskError, SettingsError
from promise_seg.images.guarding import guarded


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (ValueError("odd\nlines"), r"^a\.png: cannot be predicted, because of something unusual .*\(ValueError: odd\)"),
        (ZeroDivisionError(), r"^a\.png: .*\(ZeroDivisionError: ZeroDivisionError\)"),
        (MemoryError(), r"^a\.png: not enough memory; it cannot be predicted on this machine$"),
        (OSError(errno.EIO, "Input/output error"), r"^a\.png: cannot be predicted: Input/output error$"),
        (OutOfMemoryError("CUDA out of memory"), r"^a\.png: not enough memory on the device"),
    ],
)
def test_any_exception_is_an_error_of_the_image(raised, words):
    with pytest.raises(ImageError, match=words), guarded("a.png", "predicted"):
        raise raised


@pytest.mark.parametrize(
    "raised", [MaskError("m.png: has values"), SettingsError("points outside"), KeyboardInterrupt()]
)
def test_what_is_a_message_already_passes(raised):
    with pytest.raises(type(raised)) as caught, guarded("a.png"):
        raise raised
    assert caught.value is raised
