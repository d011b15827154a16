"""Models in folders and on the Hugging Face hub: whether the hub answers, and why a model could not be loaded.

The hub is asked once before anything is loaded from it, as its own library tries six times for each file, with pauses.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise_seg.errors import first_line

_ANSWER_SECONDS, _SILENCE_SECONDS = 600.0, 30.0
"""How long an answer of the hub is remembered, and how long the lack of an answer, as the hub may be back soon."""
_ENDS = ".!?"
_remembered: tuple[float, Exception | None] | None = None  # until when the last result is valid, and that result


@dataclass(frozen=True)
class ModelPlace:
    """A folder, or the name of a model on the hub.

    Args:
        name: name or folder, as the user gave it.
        silence: the error if the hub did not answer; ``None`` if it did, or was not asked.
    """

    name: str
    silence: Exception | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of ``from_pretrained``: if the hub does not answer, only files downloaded before are used."""
        return {} if self.silence is None else {"local_files_only": True}

    def why_not(self, error: Exception) -> str:
        """Return a sentence that explains why the model could not be loaded.

        Args:
            error: error raised by ``from_pretrained``, or when the model was used.
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
    """Return the place of a model; the hub is asked whether it answers, unless it is a folder or was asked recently.

    Args:
        name: a folder, or the name of a model on the hub, ``OWNER/NAME``.
    """
    if Path(name).is_dir() or not _may_be_on_the_hub(name):
        return ModelPlace(name)
    return ModelPlace(name, _silence(name))


def _silence(name: str) -> Exception | None:
    """Return the error if the hub does not answer, ``None`` if it does; the result is remembered for a while."""
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
        return None  # the hub did answer; from_pretrained describes the error
    except Exception as error:  # the type depends on the version of the HTTP library
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
