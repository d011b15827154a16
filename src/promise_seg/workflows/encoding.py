"""The precision that a SAM encodes in, by the words of a user."""

from promise_seg.errors import SettingsError
from promise_seg.model import ModelConfig
from promise_seg.sam.backbone import Backbone
from promise_seg.vocabulary import EncoderPrecision
from promise_seg.workflows.choices import chosen

_OPTION = "--encoder-precision"


def parse_encoder_precision(given: str | None) -> EncoderPrecision | None:
    """Return the precision that a user means; ``None`` if nothing is said.

    Raises:
        SettingsError: if there is no such precision.
    """
    return None if given is None else chosen(EncoderPrecision, given, _OPTION)


def encoding_in(sam: Backbone, given: str | None, start: ModelConfig | None = None) -> Backbone:
    """Return a SAM that encodes as a user says; by default as it did for the model to start from, or as it does.

    Args:
        sam: any SAM, which stays as it is.
        given: the precision that the user gave.
        start: the config of the model to start from.

    Raises:
        SettingsError: if there is no such precision, or the device does not have it.
    """
    wanted = parse_encoder_precision(given)
    if wanted is None and start is not None:
        wanted = start.encoder_precision
    return sam if wanted is None else sam.in_precision(wanted)


def refuse_for_loaded(**given: object) -> None:
    """Raise an error if an option of loading is given for a model that is loaded already.

    Args:
        given: the options by their names; ``None`` is not given.

    Raises:
        SettingsError: that says how to load it.
    """
    for name, value in given.items():
        if value is not None:
            raise SettingsError(f"{name}={value}: the model is loaded already. Give {name} to promise_seg.load")
