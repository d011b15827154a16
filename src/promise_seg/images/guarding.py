"""A guard around the work on one image, which turns any exception into an error that names the image."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promise_seg.errors import ImageError, PromiseError, first_line, memory_words

_LOG = logging.getLogger("promise_seg")


@contextmanager
def guarded(path: str | Path, work: str = "read") -> Iterator[None]:
    """Turn any exception into an :class:`~promise_seg.errors.ImageError` that names an image.

    A command that processes many images guards each of them, because libraries raise all kinds of exceptions for
    damaged or unusual files, and one file must not stop the others. Unexpected ones are logged at level ``DEBUG``.

    Args:
        path: the image.
        work: the work on the image, as a participle: ``read``, ``predicted``.

    Raises:
        ImageError: for any exception except :class:`~promise_seg.errors.PromiseError`, which is raised unchanged.
    """
    try:
        yield
    except PromiseError:
        raise
    except OSError as error:
        raise ImageError(f"{path}: cannot be {work}: {error.strerror or first_line(error)}") from error
    except Exception as error:
        if words := memory_words(error):
            raise ImageError(f"{path}: {words}; it cannot be {work} on this machine") from error
        _LOG.debug("%s cannot be %s", path, work, exc_info=True)
        raise ImageError(
            f"{path}: cannot be {work}, because of something unusual in it that promise-seg does not know "
            f"({type(error).__name__}: {first_line(error)}). Save it again with another program, and please report it"
        ) from error
