"""The places in the user's cache folder where promise-seg keeps what it can make or fetch again."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder(name: str, variable: str) -> Path:
    """The folder that the environment variable ``variable`` names, or ``name`` in the user's cache folder.

    The cache folder is where the system has it: on Linux ``$XDG_CACHE_HOME/promise-seg`` or ``~/.cache/promise-seg``.
    """
    if place := os.environ.get(variable):
        return Path(place)
    return user_cache_path("promise-seg", appauthor=False) / name
