"""The folders in the user's cache where promise-seg keeps files that it can make or download again."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder(name: str, variable: str) -> Path:
    """Return the folder given by the environment variable ``variable``, or else ``name`` in the user's cache folder.

    The cache folder is that of the operating system: on Linux ``$XDG_CACHE_HOME/promise-seg`` or
    ``~/.cache/promise-seg``.
    """
    if place := os.environ.get(variable):
        return Path(place)
    return user_cache_path("promise-seg", appauthor=False) / name
