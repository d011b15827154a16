"""Whether the hub of models answers, which is asked once: its own library asks six times, with pauses."""

from pathlib import Path
from typing import Any


def how_to_load(name: str) -> dict[str, Any]:
    """Return arguments of ``from_pretrained`` for a folder, or for a model of the hub.

    Where the hub cannot be reached, only what was downloaded before is looked at.

    Args:
        name: a folder, or the name of a model on the hub, ``OWNER/NAME``.
    """
    return {} if Path(name).is_dir() or _answers(name) else {"local_files_only": True}


def _answers(name: str) -> bool:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json"))
    except (HfHubHTTPError, HFValidationError):
        return True  # with an answer that from_pretrained puts into words
    except Exception:  # what its HTTP library raises depends on the version
        return False
    return True
