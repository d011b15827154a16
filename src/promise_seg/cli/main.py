"""Entry point of the command line: registers the subcommands and handles errors."""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import ParamSpec

import typer

from promise_seg._version import __version__
from promise_seg.arguments import running_command
from promise_seg.cli import (
    annotate,
    bench,
    benchmark,
    budget,
    calibrate,
    compare,
    convert,
    data_check,
    data_draw,
    data_fetch,
    data_import,
    data_make,
    data_show,
    data_split,
    demo,
    evaluate,
    export,
    features,
    plan,
    predict,
    pretrain,
    report,
    sam,
    train,
    tune,
)
from promise_seg.cli.monitoring_options import with_monitoring
from promise_seg.cli.stopping import say_stopped, was_said
from promise_seg.cli.terminal import CLOSED_PIPE, forget_output, prepare
from promise_seg.cli.usage import UsageError, check_no_word_is_empty, print_usage_error
from promise_seg.errors import PromiseError, memory_words

P = ParamSpec("P")

_INTERRUPTED = 130
_NO_TMP = "temporary directory"
_FOR_MEMORY = "Give smaller numbers, such as --batch-size, --image-size or --tile, or use a computer with more memory"

app = typer.Typer(
    name="promise",
    help="Adapt a frozen Segment Anything Model to your medical images: it prompts itself and stays promptable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _honest(command: Callable[P, int | None]) -> Callable[P, None]:
    """Report user errors in one line with exit code 2, and signals with their own exit codes.

    Errors of the operating system, such as a file name that is too long, and lack of memory count as user errors. All
    other exceptions are bugs and are shown with their traceback.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with running_command():
                code = command(*args, **kwargs)
        except PromiseError as error:
            print(f"promise: error: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        except BrokenPipeError:  # caught here because typer would exit with code 1
            forget_output()
            raise typer.Exit(CLOSED_PIPE) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename is not None else ""
            way_out = ". Set TMPDIR to a folder that can be written to" if _NO_TMP in str(error) else ""
            print(f"promise: error: {where}{error.strerror or error}{way_out}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            raise typer.Exit(say_stopped()) from None
        except (MemoryError, RuntimeError) as error:
            if (words := memory_words(error)) is None:
                raise
            print(f"promise: error: {words}. {_FOR_MEMORY}", file=sys.stderr)
            raise typer.Exit(2) from None
        raise typer.Exit(code or 0)

    return wrapped


app.command("train")(_honest(with_monitoring("train")(train.train)))
app.command("evaluate")(_honest(evaluate.evaluate))
app.command("predict")(_honest(with_monitoring("predict", unless=("merge", "status"))(predict.predict)))
for _command in (convert.convert, pretrain.pretrain, demo.demo):
    app.command(_command.__name__)(_honest(_command))
app.command("annotate")(_honest(annotate.annotate))
app.command("bench")(_honest(bench.bench))
app.command("benchmark")(_honest(benchmark.benchmark))
app.command("budget")(_honest(budget.budget))
app.command("calibrate")(_honest(calibrate.calibrate))
app.command("compare")(_honest(compare.compare))
app.command("export")(_honest(export.export))
app.command("plan")(_honest(plan.plan))
app.command("report")(_honest(report.report))
app.command("tune-postprocess")(_honest(tune.tune))

_sams = typer.Typer(no_args_is_help=True, help="List, describe and download the SAMs that are known by name.")
_sams.command("list")(_honest(sam.list_sams))
_sams.command("info")(_honest(sam.info))
_sams.command("fetch")(_honest(sam.fetch))
app.add_typer(_sams, name="sam")


_features = typer.Typer(no_args_is_help=True, help="Plan, fill, inspect and prune the store of encoded images.")
_features.command("plan")(_honest(features.plan))
_features.command("encode")(_honest(with_monitoring("features encode")(features.encode)))
_features.command("status")(_honest(features.status))
_features.command("prune")(_honest(features.prune))
app.add_typer(_features, name="features")


_data = typer.Typer(no_args_is_help=True, help="Make, import, check, split, show and fetch data sets.")
_data.command("make")(_honest(data_make.make))
_data.command("draw")(_honest(data_draw.draw))
_data.command("import")(_honest(data_import.import_data))
_data.command("check")(_honest(data_check.check))
_data.command("split")(_honest(data_split.split))
_data.command("show")(_honest(data_show.show))
_data.command("fetch")(_honest(data_fetch.fetch))
app.add_typer(_data, name="data")


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
    """Run a command line and return the exit code: 2 for a user error, 130 for Ctrl-C, 143 for SIGTERM."""
    prepare()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        check_no_word_is_empty(arguments)
        code = app(arguments, prog_name="promise", standalone_mode=False)
    except PromiseError as error:
        print(f"promise: error: {error}", file=sys.stderr)
        return 2
    except UsageError as error:
        return print_usage_error(error)
    except (KeyboardInterrupt, typer.Abort):  # raised before a command began
        return say_stopped()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    if code == _INTERRUPTED and not was_said():  # also before a command began: typer turned it into a silent exit
        return say_stopped()
    return code if isinstance(code, int) else 0
