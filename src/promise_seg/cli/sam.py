"""The commands ``promise sam list | info | fetch``."""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import counting_bar, print_line, print_table
from promise_seg.cli.options import no_address
from promise_seg.errors import SettingsError

NameArgument = Annotated[str, typer.Argument(help="A name from promise sam list.")]


def list_sams() -> None:
    """List the SAMs that are known by name, and whether each is on this machine."""
    from promise_seg.sam.fetching import table_of_sams

    print_table(("name", "what", "size", "licence", "on this machine"), table_of_sams())


def info(name: NameArgument) -> None:
    """Show the size, licence, source and SHA-256 of a SAM."""
    from promise_seg.sam.fetching import facts_of

    if name == "nano":
        print("nano: part of the package; see docs/nano-sam.md")
        return
    for key, value in facts_of(name).items():
        print(f"{key:8} {value}")


def fetch(
    name: NameArgument,
    url: Annotated[
        str | None,
        typer.Option(help="A mirror to download from; the bytes must be the same.", envvar="PROMISE_SEG_MIRROR"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", callback=no_address, help="Another path for the file.")
    ] = None,
) -> None:
    """Download a SAM and verify its SHA-256. The same command resumes an interrupted download."""
    from promise_seg.sam.fetching import fetch_sam

    if name == "nano" and output is not None:
        raise SettingsError(f"-o {output}: the nano SAM is part of the package, and there is no file to write")
    if name == "nano":
        print_line("nano: part of the package, nothing to fetch")
        return
    print_line(fetch_sam(name, output, url, counting_bar, print_line).words)
