"""Errors that a user can mend. The command line prints them as one line and exits with code 2."""


class PromiseError(Exception):
    """Base of every error caused by the user's data, files or settings, never by a bug of ours."""


class ManifestError(PromiseError):
    """The CSV, or a row of it, cannot be used."""


class ImageError(PromiseError):
    """An image or mask file cannot be read, or does not fit its partner."""


class CheckpointError(PromiseError):
    """A checkpoint is missing, damaged, or belongs to another SAM."""


class SettingsError(PromiseError):
    """A setting has a value that cannot work."""
