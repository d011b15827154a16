"""Errors that a user can fix. The command line prints them as one line and exits with code 2."""


class PromiseError(Exception):
    """Base of every error caused by the user's data, files or settings, never by a bug of ours."""


def first_line(error: BaseException) -> str:
    """Return the message of a library's exception, in one line without a full stop; its type if there is none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".:") if lines else type(error).__name__


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
