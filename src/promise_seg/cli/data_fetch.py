"""The command ``promise data fetch``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import counting_bar, print_line, print_lines, print_table, stages_bar
from promise_seg.cli.options import no_address
from promise_seg.errors import SettingsError
from promise_seg.quantities import count_in_words

_OF_SETS = ("given", "accept_licence", "url", "sha256", "test_list")
"""Options that apply only to published data sets."""
_OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", callback=no_address, help="Folder for the data; by default named after the data set."
    ),
]


def fetch(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of a data set, or an archive: dicomweb://HOST/PATH?Modality=CT; without it, the list is printed."
        ),
    ] = None,
    list_sets: Annotated[bool, typer.Option("--list", help="Print the list of known data sets.")] = False,
    output: _OutputOption = None,
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
    segmentations: Annotated[
        bool,
        typer.Option(
            "--segmentations",
            help="Of an archive: also retrieve the DICOM segmentations of the studies, and write a manifest.",
        ),
    ] = False,
) -> int:
    """Download a published data set, or images from a hospital archive (DICOMweb). The same command resumes an
    interrupted download."""
    from promise_seg.archives.address import is_address

    if list_sets or name is None:
        return _print_list()
    if is_address(name):
        return _fetch_archive(context, name, output, segmentations)
    if segmentations:
        raise SettingsError("--segmentations: is for archives, dicomweb://HOST/PATH. Leave it out")
    from promise_seg.curation.sets.getting import get_set, parse_wish
    from promise_seg.curation.sets.known_sets import known_set

    known_set(name)
    wish, place = parse_wish(url, given or [], sha256 or [], test_list), output or Path(name)
    get_set(name, place, wish, accept_licence=accept_licence, test_list=test_list, bar=counting_bar, say=print_line)
    return 0


def _print_list() -> int:
    """Print the known data sets."""
    from promise_seg.curation.sets.getting import size_words
    from promise_seg.curation.sets.known_sets import KNOWN_SETS

    print_table(
        ("name", "what", "images", "size", "licence", "how"),
        [(n, s.about, f"{s.images:,}", size_words(s), s.licence, "by hand" if s.by_hand else "fetched")
         for n, s in KNOWN_SETS.items()],
    )  # fmt: skip
    return 0


def _fetch_archive(context: typer.Context, address: str, output: Path | None, segmentations: bool) -> int:
    """Download the images of an archive, and print how many series there are and which could not be retrieved."""
    from promise_seg.curation.sets.from_archive import MANIFEST, fetch_archive

    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in _OF_SETS and source is not None and source.name == "COMMANDLINE":
            raise SettingsError(f"{parameter.opts[-1]}: is for published data sets, not for archives. Leave it out")
    if output is None:
        raise SettingsError("-o: an archive has no name of its own. Give the folder to write to")
    with stages_bar() as progress:
        found = fetch_archive(
            address, output, segmentations=segmentations, progress=progress, note=lambda words: print_lines([words])
        )
    print_line(f"{found.series:,} series in {found.folder}, {found.new:,} of them new")
    if found.made is not None:
        print_lines(found.made.warnings, "warning")
        print_line(f"{output / MANIFEST}: {count_in_words(len(found.made.pairing.pairs), 'row')}")
    for problem in found.problems:
        print(f"promise: error: {problem}", file=sys.stderr)
    return 2 if found.problems else 0
