"""Load SAMs from folders or by hub names, as ``transformers`` saves them: ``config.json``, ``model.safetensors``."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from promise_seg.errors import CheckpointError, first_line
from promise_seg.hub import find_model
from promise_seg.sam.kinds import model_class
from promise_seg.sam.known import KNOWN_SAMS
from promise_seg.sam.pickles import check_finite, list_faults, read_safetensors

_EXPECTED = (
    f"Expected nano, {', '.join(KNOWN_SAMS)} (see promise sam list), an official .pth file, or a folder or hub name "
    "with config.json and model.safetensors."
)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide progress bars and warnings of ``transformers``, because the caller prints its own notes.

    For example, the library warns whenever a model for videos is used for images.
    """
    were_shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if were_shown:
            logging.enable_progress_bar()


def model_from_folder(source: str) -> PreTrainedModel:
    """Load a SAM of any kind from a folder, or by its hub name.

    Raises:
        CheckpointError: if there is no SAM, its weights do not fit or are damaged, or a required package is missing.
    """
    where = f"--sam {source}"
    _check_may_be_there(source, where)
    place = find_model(source)
    try:
        with _quiet():
            values, _ = PreTrainedConfig.get_config_dict(source, **place.options)
            model: PreTrainedModel
            model, report = model_class(values.get("model_type", "sam"), where).from_pretrained(
                source, output_loading_info=True, use_safetensors=True, ignore_mismatched_sizes=True,
                dtype=torch.float32, **place.options,
            )  # fmt: skip
    except ImportError as error:
        raise CheckpointError(
            f"{where}: needs a package that is not installed: {first_line(error)}. The encoder of EdgeTAM is one of "
            "timm: pip install 'promise-seg[edgetam]'"
        ) from error
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{where}: damaged or not a SAM: {first_line(error)}") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{where}: no SAM found there: {place.why_not(error)} {_EXPECTED}") from (
            place.silence or error
        )
    if report["missing_keys"]:
        _check_not_video_only(source, where)
    faults = {
        "missing": report["missing_keys"],
        "unexpected": report["unexpected_keys"],
        "of another shape": [
            f"{name} is {tuple(found)}, expected {tuple(expected)}"
            for name, found, expected in report["mismatched_keys"]
        ],
    }
    if wrong := list_faults(faults):
        raise CheckpointError(f"{where}: does not fit a SAM: {wrong}")
    check_finite(model.state_dict(), where)
    return model


def _check_may_be_there(source: str, where: str) -> None:
    """Check, before asking the hub, that a name is a folder or has the form ``OWNER/NAME`` of the hub.

    Raises:
        CheckpointError: if it is neither; the message suggests a known SAM with a similar name.
    """
    if "/" in source or Path(source).exists():
        return
    nearest = get_close_matches(source, ["nano", *KNOWN_SAMS], n=1)
    meant = f" Did you mean {nearest[0]}?" if nearest else ""
    raise CheckpointError(f"{where}: no SAM of that name, and no such folder.{meant} {_EXPECTED}")


def _check_not_video_only(source: str, where: str) -> None:
    """Raise a :class:`CheckpointError` if a folder holds only the memory parts of a SAM 2 for videos."""
    from promise_seg.sam.sam2_official import check_not_video_only

    file = Path(source) / "model.safetensors"
    if file.is_file():
        check_not_video_only(read_safetensors(file), where)
