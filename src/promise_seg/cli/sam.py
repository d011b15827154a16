"""``promise sam list | info | fetch``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import console, print_table

NameArgument = Annotated[str, typer.Argument(help="A name from promise sam list.")]


def list_sams() -> None:
    """List the SAMs that are known by name, and whether they are on this machine."""
    from promise_seg.sam.known import KNOWN_SAMS, sam_path

    rows = [("nano", "the nano SAM, 128 px, 4.7 million parameters", "9 MB", "Apache-2.0", "part of the package")]
    for name, sam in KNOWN_SAMS.items():
        here = "yes" if sam_path(name).exists() else "promise sam fetch " + name
        size = "not known" if sam.size is None else f"{sam.size / 1e6:,.0f} MB"
        rows.append((name, sam.about, size, sam.licence, here))
    print_table(("name", "what", "size", "licence", "on this machine"), rows)


def info(name: NameArgument) -> None:
    """Show the size, licence, source and SHA-256 of a SAM."""
    from promise_seg.sam.known import expected_sha256, known_sam, sam_path

    if name == "nano":
        print("nano: part of the package; see docs/nano-sam.md")
        return
    sam, path = known_sam(name), sam_path(name)
    noted = expected_sha256(sam, path)
    if sam.sha256 is None:
        noted = "not published; noted on the first fetch" if noted is None else f"{noted} (not published; as fetched)"
    facts = {
        "name": name,
        "what": sam.about,
        "size": "not published" if sam.size is None else f"{sam.size:,} bytes",
        "licence": sam.licence,
        "source": sam.source,
        "url": sam.url,
        "sha256": noted,
        "file": f"{path}{'' if path.exists() else ' (not fetched)'}",
    }
    for key, value in facts.items():
        print(f"{key:8} {value}")


def fetch(
    name: NameArgument,
    url: Annotated[
        str | None,
        typer.Option(help="A mirror to download from; the bytes must be the same.", envvar="PROMISE_SEG_MIRROR"),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Another path for the file.")] = None,
) -> None:
    """Download a SAM and verify its SHA-256. The same command resumes after an interruption."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from promise_seg.download import download
    from promise_seg.files import write_text
    from promise_seg.hashing import file_sha256
    from promise_seg.sam.known import expected_sha256, hash_note, known_sam, sam_path

    if name == "nano":
        console.print("nano: part of the package, nothing to fetch")
        return
    sam = known_sam(name)
    path = output or sam_path(name)
    if path.is_dir():
        path = path / sam.file_name
    sha256 = expected_sha256(sam, path)
    if path.exists() and file_sha256(path) == sha256:
        console.print(f"{path}: already there")
        return
    if sha256 is None:
        console.print(f"{name}: no SHA-256 of it is published, so that its first download cannot be verified")
    console.print(f"{name}: {sam.about}. Licence: {sam.licence}. See {sam.source}")
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=sam.size)
        download(
            url or sam.url, path, size=sam.size, sha256=sha256,
            progress=lambda done: progress.update(task, completed=done),
        )  # fmt: skip
    checked = "right size and SHA-256"
    if sha256 is None:
        sha256 = file_sha256(path)
        write_text(hash_note(path), f"{sha256}  {path.name}\n")
        checked = f"SHA-256 {sha256}, which is not published and is now noted in {hash_note(path).name}"
    console.print(f"{path}: {checked}. Use it with --sam {name if output is None else path}")
