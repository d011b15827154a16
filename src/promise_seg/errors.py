"""Errors that a user can fix. The command line prints them as one line and exits with code 2."""

import re


class PromiseError(Exception):
    """Base of every error caused by the user's data, files or settings, never by a bug of ours."""


def first_line(error: BaseException) -> str:
    """Return the message of a library's exception, in one line without a full stop; its type if there is none.

    An error of the system is its words alone, without its number and the path, which messages name themselves.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".:") if lines else type(error).__name__


_SIZE_WANTED = re.compile(r"allocate (\d[\d.]* \w+)")
_LACKS_MEMORY = ("DefaultCPUAllocator", "out of memory", "Storage size calculation overflowed")
"""Words by which PyTorch's errors say that there is not enough memory, where they have no type of their own."""


def memory_words(error: BaseException) -> str | None:
    """Return what an exception says about memory that is missing, ``None`` if it is about anything else.

    The words are such as ``not enough memory (2.00 GiB more were needed)``.
    """
    of_device = type(error).__name__ == "OutOfMemoryError"  # as torch says it of an accelerator
    is_said = isinstance(error, RuntimeError) and any(words in str(error) for words in _LACKS_MEMORY)
    if not (of_device or is_said or isinstance(error, MemoryError)):
        return None
    wanted = _SIZE_WANTED.search(str(error))
    where = " on the device" if of_device else ""
    return f"not enough memory{where}" + (f" ({wanted[1]} more were needed)" if wanted else "")


class ManifestError(PromiseError):
    """The CSV, or a row of it, cannot be used."""


class ImageError(PromiseError):
    """An image or mask file cannot be read, or does not fit its partner."""


class NoImagesError(ImageError):
    """There are no images in a place that could be looked through; nothing else is wrong with it."""


class SizeError(ImageError):
    """An image and its mask differ in size."""


class MaskError(ImageError):
    """A mask has values that its rule does not allow."""


class CheckpointError(PromiseError):
    """A checkpoint is missing, damaged, or belongs to another SAM."""


class SettingsError(PromiseError):
    """A setting has an invalid value."""
