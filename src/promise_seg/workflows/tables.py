"""Tables for Python users; they need pandas."""

from importlib import import_module
from typing import Any

from promise_seg.errors import SettingsError


def pandas() -> Any:
    """Return the pandas module.

    Raises:
        SettingsError: if it is not installed.
    """
    try:
        return import_module("pandas")
    except ImportError as error:
        raise SettingsError(
            "a table needs pandas, which is not installed: pip install pandas. Without it, .records() has the same rows"
        ) from error
