"""Groups of options that several commands share: a command gets the values of a group as one argument."""

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
"""The values of a group's options, by their names: keyword arguments of the function that a command calls."""


@dataclass(frozen=True)
class Group:
    """Options that commands have in common.

    Args:
        options: the kind of each option and its default, by its name, in the order of ``--help``.
        make: turns their values, given by name, into what a command gets.
    """

    options: Mapping[str, tuple[Any, Any]]
    make: Callable[..., Any] = dict

    def only(self, *names: str) -> "Group":
        """Return the group with these options alone."""
        return self._of(names)

    def without(self, *names: str) -> "Group":
        """Return the group without these options."""
        return self._of(self.options.keys() - set(names))

    def _of(self, names: Collection[str]) -> "Group":
        return replace(self, options={name: option for name, option in self.options.items() if name in names})


def with_groups(**groups: Group) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace parameters of a command by the options of groups, whose values it gets as one argument each.

    Args:
        groups: by the names of the parameters that they stand for.
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
    """Let a function that takes any keywords have a signature, from which typer makes the options of a command.

    Args:
        command: the function.
        options: the kind of each option and its default, by its name, in the order of ``--help``.
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
"""How a model is opened."""

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
"""The SAM that encodes the images of a training, its settings, and the store of features."""

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
"""How a trained model and the val rows of its training are found again."""
