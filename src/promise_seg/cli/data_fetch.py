"""``promise data fetch``"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import console, print_table

if TYPE_CHECKING:
    from promise_seg.curation.sets.fetching import Advance
    from promise_seg.curation.sets.known_sets import KnownSet


def fetch(
    name: Annotated[str | None, typer.Argument(help="Name of a data set; without it, the list is printed.")] = None,
    list_sets: Annotated[bool, typer.Option("--list", help="Print the list of known data sets.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the data; by default named after the data set.")
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
    from promise_seg.curation.sets.arranging import MANIFEST, VALIDATION_SEED, VALIDATION_SHARE
    from promise_seg.curation.sets.fetching import Wish, fetch_set, is_finished, needs_hands
    from promise_seg.curation.sets.known_sets import KNOWN_SETS, known_set
    from promise_seg.curation.sets.mask_pictures import THRESHOLD
    from promise_seg.errors import PromiseError

    if list_sets or name is None:
        print_table(
            ("name", "what", "images", "size", "licence", "how"),
            [(n, s.about, f"{s.images:,}", _size(s), s.licence, "by hand" if s.by_hand else "fetched")
             for n, s in KNOWN_SETS.items()],
        )  # fmt: skip
        return
    known, folder = known_set(name), output or Path(name)
    wish = Wish(
        mirror=None if given else url,
        given=tuple(given or ()),
        sha256=_hashes(sha256 or []),
        test_names=_names(test_list) if test_list else frozenset(),
    )
    if is_finished(folder, wish.test_names):
        _say(f"{folder / MANIFEST}: already there")
        return
    _say(f"{name}: {known.about}. {known.images:,} images, {_size(known)}. See {known.source}")
    _say(f"licence: {known.licence}. See {known.licence_url}")
    accept = " --accept-licence" if known.must_accept else ""
    if needs_hands(known, wish):
        files = " ".join(f"--from {archive.file_name}" for archive in known.archives)
        if known.archives[0].file_name.endswith(".rar"):
            files = "--from FOLDER"
        _say(f"to do by hand: {known.by_hand} Save it anywhere and give its path to --from.")
        raise PromiseError(f"{name}: must be got by hand, see above; then: promise data fetch {name} {files}{accept}")
    if known.must_accept and not accept_licence:
        raise PromiseError(
            f"{name}: its licence ({known.licence}; {known.licence_url}) must be accepted. Read it, then give the same "
            "command with --accept-licence"
        )
    arranged = fetch_set(known, name, folder, wish, bar=_bar, say=_say)
    if arranged.cut_masks:
        _say(
            f"{arranged.cut_masks:,} of {known.images:,} masks had greys and were cut at {THRESHOLD}; all are 0/255 PNG"
        )
    counts = ", ".join(f"{count:,} {split}" for split, count in arranged.rows.items())
    _say(f"splits: {known.splits if not wish.test_names else f'test rows as in {test_list}'}")
    if arranged.own_validation:
        _say(
            f"val: {arranged.own_validation:,} train rows chosen by promise-seg (about {VALIDATION_SHARE:.0%}, seed "
            f"{VALIDATION_SEED}, whole groups, never of test)"
        )
    _say(f"{folder / MANIFEST}: {counts} rows")


def _say(line: str) -> None:
    console.print(line, markup=False)


def _size(known: "KnownSet") -> str:
    return "size unknown" if known.size is None else f"{known.size / 1e6:,.0f} MB"


def _hashes(given: list[str]) -> frozenset[str]:
    """Validate checksums; raises SettingsError if one is not a SHA-256."""
    import re

    from promise_seg.errors import SettingsError

    for one in given:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", one):
            raise SettingsError(f"--sha256 {one}: expected 64 hexadecimal digits, as sha256sum prints them")
    return frozenset(one.lower() for one in given)


def _names(path: Path) -> frozenset[str]:
    """Read the list; raises SettingsError if it cannot be read or is empty."""
    from promise_seg.errors import SettingsError

    try:
        names = frozenset(
            Path(line.strip()).stem for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        )
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--test-list {path}: cannot be read: {error}") from error
    if not names:
        raise SettingsError(f"--test-list {path}: has no names; expected one a line")
    return names


@contextmanager
def _bar(what: str, total: int | None, unit: str) -> "Iterator[Advance]":
    """Show a progress bar of bytes or images."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )  # fmt: skip

    units = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
    with Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), *units, TimeRemainingColumn(), console=console
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
