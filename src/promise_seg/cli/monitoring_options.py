"""Options for monitoring long-running commands: ``--log-file``, ``--metrics`` and ``--metrics-host``."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer

from promise_seg.cli.common import print_line
from promise_seg.cli.groups import set_options
from promise_seg.cli.options import option
from promise_seg.monitoring.metrics import LOCAL
from promise_seg.monitoring.monitored import monitored

MONITORING = "Monitoring"
LogFileOption = Annotated[
    str | None,
    option(
        "--log-file",
        metavar="PATH|-",
        about="Append a line of JSON for each item and event; a folder (logs/) gets a file of each process, - is "
        "standard output.",
        panel=MONITORING,
        envvar="PROMISE_SEG_LOG_FILE",
        show_default=False,
    ),
]
MetricsOption = Annotated[
    int | None,
    option(
        "--metrics",
        min=0,
        max=65535,
        metavar="PORT",
        about="Serve metrics to Prometheus on this computer; 0 takes any free port.",
        panel=MONITORING,
        envvar="PROMISE_SEG_METRICS",
        show_default=False,
    ),
]
MetricsHostOption = Annotated[
    str,
    option(
        "--metrics-host",
        metavar="ADDRESS",
        about="Serve them to others at this address, without a password.",
        panel=MONITORING,
    ),
]
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "log_file": (LogFileOption, None),
    "metrics": (MetricsOption, None),
    "metrics_host": (MetricsHostOption, LOCAL),
}


def with_monitoring(work: str, unless: Collection[str] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a command with the monitoring options.

    Args:
        work: the name of the command in the log.
        unless: flags with which the command does something short. Monitoring options that come from environment
            variables are then ignored. The command must have the parameter ``context``.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command).parameters.values()

        @functools.wraps(command)
        def with_options(**values: Any) -> Any:
            given = {name: values.pop(name) for name in _OPTIONS}
            if any(values.get(name) for name in unless):
                given |= {name: _OPTIONS[name][1] for name in given if _is_of_environment(values["context"], name)}
            with monitored(**given, work=work, note=print_line):
                return command(**values)

        set_options(with_options, {each.name: (each.annotation, each.default) for each in own} | _OPTIONS)
        return with_options

    return decorate


def _is_of_environment(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "ENVIRONMENT"
