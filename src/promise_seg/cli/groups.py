"""Groups of options that several commands share; a command receives the values of a group as one argument."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from promise_seg.cli.options import (
    AlwaysSegmentOption,
    BareSizeOption,
    DeviceOption,
    EncoderPrecisionOption,
    ImageSizeOption,
    OtherEncoderPrecisionOption,
    ProtocolOption,
    SamOption,
    SamPlaceOption,
    SplitSeedOption,
    StoreOption,
    StorePrecisionOption,
    ThresholdOption,
    TrainValShareOption,
    ValShareOption,
)
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.vocabulary import Protocol, StorePrecision

Values = dict[str, Any]
"""The values of a group's options by name: keyword arguments of the function that a command calls."""


@dataclass(frozen=True)
class Group:
    """Options that commands have in common.

    Args:
        options: maps the name of each option to its annotation and default, in the order of ``--help``.
        make: function that turns the values, given by name, into the argument of the command.
    """

    options: Mapping[str, tuple[Any, Any]]
    make: Callable[..., Any] = dict

    def only(self, *names: str) -> "Group":
        """Return the group with only these options."""
        return self._of(names)

    def without(self, *names: str) -> "Group":
        """Return the group without these options."""
        return self._of(self.options.keys() - set(names))

    def _of(self, names: Collection[str]) -> "Group":
        return replace(self, options={name: option for name, option in self.options.items() if name in names})


def with_groups(**groups: Group) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a command so that some of its parameters are replaced by the options of groups.

    Args:
        groups: maps the name of each parameter to the group that replaces it. The command receives the values of the
            group as this parameter.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        options: dict[str, tuple[Any, Any]] = {}
        for parameter in inspect.signature(command).parameters.values():
            group = groups.get(parameter.name)
            options |= {parameter.name: (parameter.annotation, parameter.default)} if group is None else group.options

        @functools.wraps(command)
        def with_options(**values: Any) -> Any:
            grouped = {
                parameter: group.make(**{name: values.pop(name) for name in group.options})
                for parameter, group in groups.items()
            }
            return command(**values, **grouped)

        set_options(with_options, options)
        return with_options

    return decorate


def set_options(command: Callable[..., Any], options: Mapping[str, tuple[Any, Any]]) -> None:
    """Give a function with arbitrary keyword arguments a signature from which typer makes the options of a command.

    Args:
        command: the function.
        options: maps the name of each option to its annotation and default, in the order of ``--help``.
    """
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, (kind, default) in options.items()
    ]
    vars(command)["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = {name: kind for name, (kind, _) in options.items()}


OPENING = Group(
    {
        "always_segment": (AlwaysSegmentOption, False),
        "sam": (SamPlaceOption, None),
        "image_size": (BareSizeOption, None),
        "device": (DeviceOption, "auto"),
        "encoder_precision": (OtherEncoderPrecisionOption, None),
    }
)
"""Options for opening a model."""

ENCODING = Group(
    {
        "sam": (SamOption, "nano"),
        "image_size": (ImageSizeOption, None),
        "protocol": (ProtocolOption, Protocol.OWN),
        "val_share": (TrainValShareOption, DEFAULT_VAL_SHARE),
        "device": (DeviceOption, "auto"),
        "encoder_precision": (EncoderPrecisionOption, None),
        "store": (StoreOption, None),
        "store_precision": (StorePrecisionOption, StorePrecision.FP16),
    }
)
"""Options of the SAM that encodes training images, and of the feature store."""

VALIDATION = Group(
    {
        "sam": (SamPlaceOption, None),
        "val_share": (ValShareOption, None),
        "seed": (SplitSeedOption, None),
        "device": (DeviceOption, "auto"),
        "store": (StoreOption, None),
        "mask_threshold": (ThresholdOption, None),
    }
)
"""Options for opening a trained model and selecting the same val rows as in its training."""
