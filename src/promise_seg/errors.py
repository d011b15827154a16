"""Errors that a user can fix. The command line prints them as one line and exits with code 2."""

import re


class PromiseError(Exception):
    """Base of every error caused by the user's data, files or settings, never by a bug of ours."""


def first_line(error: BaseException) -> str:
    """Return the message of a library's exception, in one line without a full stop; its type if there is none.

    For an ``OSError`` it is the description alone, without number and path, as our messages name the path themselves.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".:") if lines else type(error).__name__


_SIZE_WANTED = re.compile(r"allocate (\d[\d.]* \w+)")
_LACKS_MEMORY = ("DefaultCPUAllocator", "out of memory", "Storage size calculation overflowed")
"""Phrases in PyTorch's messages about a lack of memory, for errors that have no type of their own."""


def memory_words(error: BaseException) -> str | None:
    """Return a description of a lack of memory that an exception reports; ``None`` if it reports anything else.

    An example is ``not enough memory (2.00 GiB more were needed)``.
    """
    of_device = type(error).__name__ == "OutOfMemoryError"  # torch's type for accelerators
    is_said = isinstance(error, RuntimeError) and any(words in str(error) for words in _LACKS_MEMORY)
    if not (of_device or is_said or isinstance(error, MemoryError)):
        return None
    wanted = _SIZE_WANTED.search(str(error))
    where = " on the device" if of_device else ""
    return f"not enough memory{where}" + (f" ({wanted[1]} more were needed)" if wanted else "")


class ManifestError(PromiseError):
    """The CSV, or a row of it, cannot be used."""


class ImageError(PromiseError):
    """An image or mask file cannot be read, or an image and its mask do not match."""


class NoImagesError(ImageError):
    """A place that could be searched contains no images; nothing else is wrong with it."""


class SizeError(ImageError):
    """An image and its mask differ in size."""


class MaskError(ImageError):
    """A mask has values that its rule does not allow."""


class CheckpointError(PromiseError):
    """A checkpoint is missing, damaged, or belongs to another SAM."""


class SettingsError(PromiseError):
    """A setting has an invalid value."""


def no_checkpoint_words(path: object) -> str:
    """Return the message for a path that holds no model."""
    return (
        f"{path}: contains no checkpoint; expected a folder with config.json and model.safetensors, or the output "
        "folder of promise train"
    )
