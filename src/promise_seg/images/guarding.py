"""A guard around the work on one image, so that whatever its file runs into is an error that names it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promise_seg.errors import ImageError, PromiseError, first_line, memory_words

_LOG = logging.getLogger("promise_seg")


@contextmanager
def guarded(path: str | Path, work: str = "read") -> Iterator[None]:
    """Turn any exception into an :class:`~promise_seg.errors.ImageError` that names an image.

    A command that goes over many images puts it around each, because libraries raise whatever a damaged or unusual
    file runs into, and one file must not end the work on all others. Where it came from is logged for ``DEBUG``.

    Args:
        path: the image.
        work: what was done with it, as a participle: ``read``, ``predicted``.

    Raises:
        ImageError: for everything that is raised inside, except what is a message for the user already.
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
