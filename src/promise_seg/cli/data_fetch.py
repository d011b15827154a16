"""``promise data fetch``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import counting_bar, print_line, print_table
from promise_seg.cli.options import no_address


def fetch(
    name: Annotated[str | None, typer.Argument(help="Name of a data set; without it, the list is printed.")] = None,
    list_sets: Annotated[bool, typer.Option("--list", help="Print the list of known data sets.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", callback=no_address, help="Folder for the data; by default named after the data set."
        ),
    ] = None,
    given: Annotated[
        list[Path] | None,
        typer.Option("--from", help="An archive or folder that you already have; may be repeated."),
    ] = None,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="Confirm that you have read and accept the licence of the data set."),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            help="A mirror: the address of the archive, or of a folder with the archives.", envvar="PROMISE_SEG_MIRROR"
        ),
    ] = None,
    sha256: Annotated[
        list[str] | None,
        typer.Option("--sha256", help="Accept only an archive with this SHA-256; once for each archive."),
    ] = None,
    test_list: Annotated[
        Path | None,
        typer.Option(
            "--test-list", help="File with image names, one per line, that become test rows if none are published."
        ),
    ] = None,
) -> None:
    """Download a published data set and write its manifest. The same command resumes after an interruption."""
    from promise_seg.curation.sets.getting import get_set, parse_wish, size_words
    from promise_seg.curation.sets.known_sets import KNOWN_SETS, known_set

    if list_sets or name is None:
        print_table(
            ("name", "what", "images", "size", "licence", "how"),
            [(n, s.about, f"{s.images:,}", size_words(s), s.licence, "by hand" if s.by_hand else "fetched")
             for n, s in KNOWN_SETS.items()],
        )  # fmt: skip
        return
    known_set(name)
    wish = parse_wish(url, given or [], sha256 or [], test_list)
    get_set(
        name,
        output or Path(name),
        wish,
        accept_licence=accept_licence,
        test_list=test_list,
        bar=counting_bar,
        say=print_line,
    )
