"""The precision of SAM's encoder, as a user gives it."""

from promise_seg.errors import SettingsError
from promise_seg.model import ModelConfig
from promise_seg.sam.backbone import Backbone
from promise_seg.vocabulary import EncoderPrecision
from promise_seg.workflows.choices import chosen

_OPTION = "--encoder-precision"


def parse_encoder_precision(given: str | None) -> EncoderPrecision | None:
    """Return the precision with this name, or ``None`` if none is given.

    Raises:
        SettingsError: if there is no such precision.
    """
    return None if given is None else chosen(EncoderPrecision, given, _OPTION)


def encoding_in(sam: Backbone, given: str | None, start: ModelConfig | None = None) -> Backbone:
    """Return a SAM that encodes in the given precision; by default in that of the model to start from, or its own.

    Args:
        sam: any SAM, which is not changed.
        given: the precision that the user gave, if any.
        start: the config of the model to start from, if any.

    Raises:
        SettingsError: if there is no such precision, or the device does not support it.
    """
    wanted = parse_encoder_precision(given)
    if wanted is None and start is not None:
        wanted = start.encoder_precision
    return sam if wanted is None else sam.in_precision(wanted)


def refuse_for_loaded(**given: object) -> None:
    """Check that no loading option is given for a model that is already loaded.

    Args:
        given: the options by their names; ``None`` for those that are not given.

    Raises:
        SettingsError: naming the option, and how to load the model with it.
    """
    for name, value in given.items():
        if value is not None:
            raise SettingsError(f"{name}={value}: the model is loaded already. Give {name} to promise_seg.load")
