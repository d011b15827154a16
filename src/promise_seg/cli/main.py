"""Entry point: the subcommands, and what an error looks like."""

import sys
from collections.abc import Sequence

import click
import typer

from promise_seg import __version__
from promise_seg.cli import demo, evaluate, predict, pretrain, train
from promise_seg.errors import PromiseError

app = typer.Typer(
    name="promise",
    help="Adapt a frozen Segment Anything Model to your medical images: it prompts itself and stays promptable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("pretrain")(pretrain.pretrain)
app.command("demo")(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"promise-seg {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code: 2 for a user's mistake, 130 for Ctrl-C."""
    try:
        result = app(list(sys.argv[1:] if argv is None else argv), prog_name="promise", standalone_mode=False)
    except PromiseError as error:
        print(f"promise: error: {error}", file=sys.stderr)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("promise: stopped. Nothing is half-written; give the same command to go on.", file=sys.stderr)
        return 130
    return result if isinstance(result, int) else 0


def run() -> None:
    """The console script."""
    sys.exit(main())
