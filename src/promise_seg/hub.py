"""Models in folders and on the hub: whether the hub answers, and why a model could not be had.

The hub is asked once before anything is loaded from it: its own library asks six times for each file, with pauses.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise_seg.errors import first_line

_ANSWER_SECONDS, _SILENCE_SECONDS = 600.0, 30.0
"""How long an answer of the hub is remembered, and how long that there was none: the next try may have one."""
_ENDS = ".!?"
_remembered: tuple[float, Exception | None] | None = None  # until when, and what the last question to the hub gave


@dataclass(frozen=True)
class ModelPlace:
    """A folder, or the name of a model on the hub.

    Args:
        name: as the user gave it.
        silence: why the hub did not answer; ``None`` if it did, or was not asked.
    """

    name: str
    silence: Exception | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of ``from_pretrained``: where the hub is silent, only what was downloaded before is looked at."""
        return {} if self.silence is None else {"local_files_only": True}

    def why_not(self, error: Exception) -> str:
        """Return in a sentence why nothing could be loaded.

        Args:
            error: of ``from_pretrained``, or of what was done with the model.
        """
        if Path(self.name).is_dir():
            return _sentence(first_line(error))
        if not _may_be_on_the_hub(self.name):
            return "there is no such folder, and models of the hub are called OWNER/NAME."
        if self.silence is None:
            return _sentence(first_line(error))
        reason = f"{type(self.silence).__name__}: {first_line(self.silence)}"
        silence = f"the hub, {_address()}, was asked once and did not answer ({reason})."
        if _was_downloaded(self.name):
            return f"what was downloaded before cannot be used: {_sentence(first_line(error))} Besides, {silence}"
        return f"there is no such folder, no model of that name was downloaded before, and {silence}"


def find_model(name: str) -> ModelPlace:
    """Ask the hub whether it answers, unless the name is that of a folder, or it was asked a moment ago.

    Args:
        name: a folder, or the name of a model on the hub, ``OWNER/NAME``.
    """
    if Path(name).is_dir() or not _may_be_on_the_hub(name):
        return ModelPlace(name)
    return ModelPlace(name, _silence(name))


def _silence(name: str) -> Exception | None:
    """Return why the hub does not answer, which is remembered for a while; ``None`` if it does."""
    global _remembered
    now, known = time.monotonic(), _remembered
    if known is None or now >= known[0]:
        found = _ask_for(name)
        known = _remembered = now + (_ANSWER_SECONDS if found is None else _SILENCE_SECONDS), found
    return known[1]


def _ask_for(name: str) -> Exception | None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json"))
    except HfHubHTTPError:
        return None  # with an answer that from_pretrained puts into words
    except Exception as error:  # what its HTTP library raises depends on the version
        return error.with_traceback(None)
    return None


def _may_be_on_the_hub(name: str) -> bool:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HFValidationError

    try:
        hf_hub_url(name, "config.json")
    except HFValidationError:
        return False
    return True


def _address() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT


def _was_downloaded(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def _sentence(text: str) -> str:
    return text if text.endswith(tuple(_ENDS)) else f"{text}."
