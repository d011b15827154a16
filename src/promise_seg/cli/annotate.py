"""The command ``promise annotate``."""

import getpass
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import print_line, print_lines, quiet_libraries, stages_bar
from promise_seg.cli.groups import OPENING, Values, with_groups
from promise_seg.cli.monitoring_options import MetricsHostOption, MetricsOption
from promise_seg.cli.options import (
    OUTPUT,
    TRAINING,
    ModelArgument,
    StoreFolderOption,
    choice,
    option,
    output_option,
)
from promise_seg.cli.stopping import was_by_hand
from promise_seg.errors import SettingsError
from promise_seg.monitoring.metrics import LOCAL
from promise_seg.vocabulary import OutputFormat, TrainableFormat

SERVER = "Server"
_PORT = 8765
_TRAIN_AFTER = 20


@with_groups(opening=OPENING.without("encoder_precision"))
def annotate(
    model: ModelArgument,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES_OR_MANIFEST",
            help="Images, volumes, DICOM files, folders of them, or one manifest.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, output_option("Folder of the project; the same command resumes it.")],
    *,
    names: Annotated[
        list[str] | None,
        option("--name", metavar="NAME", about="Name of what is segmented; LABEL=NAME for a class.", panel=OUTPUT),
    ] = None,
    output_format: Annotated[
        TrainableFormat,
        choice(TrainableFormat, "--format", about="auto: as the input, DICOM-SEG for DICOM", panel=OUTPUT),
    ] = TrainableFormat.AUTO,
    instances: Annotated[
        bool | None,
        option(
            "--instances/--no-instances",
            about="Masks number each object; default: as before, or if the model separates objects.",
            panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    truth: Annotated[
        bool,
        option(
            "--truth", about="Show the Dice with the manifest's masks, for practice.", panel=OUTPUT, show_default=False
        ),
    ] = False,
    user: Annotated[
        str | None,
        option("--user", metavar="NAME", about="Who annotates; default: the name on this computer.", panel=SERVER),
    ] = None,
    port: Annotated[
        int,
        option(
            "--port",
            min=1,
            max=65535,
            metavar="PORT",
            about="Where to listen; the next free one if it is in use.",
            panel=SERVER,
        ),
    ] = _PORT,
    browser: Annotated[
        bool, option("--browser/--no-browser", about="Open the page in a browser.", panel=SERVER)
    ] = True,
    host: Annotated[
        str,
        option("--host", metavar="ADDRESS", about="Let others reach it here; needs TLS or --insecure.", panel=SERVER),
    ] = LOCAL,
    tls_certificate: Annotated[
        Path | None, option("--tls-certificate", metavar="FILE", about="Certificate, as PEM.", panel=SERVER)
    ] = None,
    tls_key: Annotated[Path | None, option("--tls-key", metavar="FILE", about="Its key, as PEM.", panel=SERVER)] = None,
    insecure: Annotated[
        bool,
        option("--insecure", about="Let others reach it without TLS.", panel=SERVER, show_default=False),
    ] = False,
    train_after: Annotated[
        int,
        option(
            "--train-after",
            min=0,
            metavar="IMAGES",
            about="Offer training after this many newly accepted images; 0: never.",
            panel=TRAINING,
        ),
    ] = _TRAIN_AFTER,
    epochs: Annotated[
        int | None,
        option(
            "--epochs",
            min=1,
            metavar="EPOCHS",
            about="Passes over the accepted images in such a training; default: as promise train.",
            panel=TRAINING,
        ),
    ] = None,
    opening: Values,
    store: StoreFolderOption = None,
    metrics: MetricsOption = None,
    metrics_host: MetricsHostOption = LOCAL,
) -> None:
    """Review and correct the model's prompts and masks in a browser. The server runs on this computer, and every
    change is saved at once."""
    _check_installed()
    quiet_libraries()
    from promise_seg.annotator.learning import LearningOptions
    from promise_seg.annotator.metrics import check_metrics_place, metrics_layer
    from promise_seg.annotator.project import Options, Project, check_options
    from promise_seg.annotator.refused_starts import without_new_folders
    from promise_seg.annotator.running import Place, check_host, serve
    from promise_seg.workflows.models import load
    from promise_seg.workflows.outputs import check_output

    learning = LearningOptions(train_after, training={} if epochs is None else {"epochs": epochs}, **opening)
    masks = OutputFormat(output_format)
    options = Options(tuple(names or ()), user or getpass.getuser(), truth, masks, store, learning, instances)
    place = Place(host, port, tls_certificate, tls_key, insecure)
    check_options(options)  # errors in options come before anything is loaded or written
    check_host(place)
    check_metrics_place(metrics, metrics_host)
    with without_new_folders(output):
        check_output(output)
        opened = load(model, **opening)
        with stages_bar() as progress:
            project = Project(opened, images, output, options, progress, _note)
    for name, reason in project.catalogue.faults():
        print_lines([f"{name}: skipped: {reason}"], "warning")

    def say(addresses: tuple[str, ...], is_used: bool) -> None:
        _print_addresses(addresses, is_used)
        if browser and not is_used:
            threading.Thread(target=typer.launch, args=addresses[:1], daemon=True).start()  # some browsers block

    with _ended_by_hand(), project, metrics_layer(project, metrics, metrics_host, print_line) as layer:
        serve(project, place, say, _note, layer)


def _note(words: str) -> None:
    """Print a note on standard error."""
    print_lines([words])


def _print_addresses(addresses: tuple[str, ...], is_used: bool) -> None:
    """Print the one-time address under each host: the first on standard output, everything else on standard error.

    Args:
        addresses: the addresses, which differ in their hosts.
        is_used: whether an earlier address was used, so that these are fresh ones.
    """
    if is_used:
        print_line("A browser or program has signed in. The next address lets in another one; it works once, too:")
    print(addresses[0], flush=True)
    if others := addresses[1:]:
        print_line(f"For computers that cannot resolve this name: {' or '.join(others)}")
    if not is_used:
        print_line("Open this address in your browser; it works once. Ctrl+C ends: everything is saved already.")


@contextmanager
def _ended_by_hand() -> Iterator[None]:
    """Treat Ctrl-C as the normal way to stop the server; other signals are raised again."""
    try:
        yield
    except KeyboardInterrupt:
        if not was_by_hand():
            raise
        print_line("Ended. Everything is saved: the same command resumes the project.")


def _check_installed() -> None:
    """Check that the packages of the server, which are optional, are installed.

    Raises:
        SettingsError: if a package is missing; the message says how to install it.
    """
    for name in ("fastapi", "uvicorn", "websockets"):
        if find_spec(name) is None:
            raise SettingsError(
                f"promise annotate needs {name}, which is not installed: pip install 'promise-seg[annotator]'"
            )
