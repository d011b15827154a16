"""Fetch a data set: download, verify checksums, unpack and arrange. Any step may be interrupted and resumed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from promise_seg.curation.sets.arranging import MANIFEST, Arranged, arrange
from promise_seg.curation.sets.known_sets import Archive, KnownSet
from promise_seg.curation.sets.sources import FILE_NAME, DownloadSource, Sources, read_sources, write_sources
from promise_seg.curation.sets.unpacking import unpack
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import ManifestError, PromiseError, SettingsError
from promise_seg.storage.download import Bar, download, no_bar
from promise_seg.storage.files import discard_folder
from promise_seg.storage.hashing import file_sha256
from promise_seg.storage.strays import remove_strays
from promise_seg.vocabulary import Split

ARCHIVES = "archives"
_UNPACKED = ".unpacked"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The options of a fetch.

    Args:
        mirror: the address of a single archive, or of a folder that contains all archives under their names.
        given: archives, folders that they were unpacked to, or folders that contain them, to use instead of downloads.
        sha256: the allowed SHA-256 checksums of archives; empty to allow any.
        test_names: image names without suffix that become test rows, for sets whose archives define no split.
    """

    mirror: str | None = None
    given: Sequence[Path] = ()
    sha256: frozenset[str] = field(default_factory=frozenset)
    test_names: frozenset[str] = field(default_factory=frozenset)


def needs_hands(known: KnownSet, wish: Wish) -> bool:
    """Whether the user must download the archives first."""
    return bool(known.by_hand) and not wish.given and not wish.mirror


def is_finished(folder: Path, test_names: frozenset[str] = frozenset()) -> bool:
    """Whether a fetch into this folder was completed and all of its files still exist.

    Temporary files of an interrupted fetch are removed.
    """
    remove_strays(folder)
    sources = read_sources(folder)
    if sources is None or not sources.arranged or not (folder / MANIFEST).exists():
        return False
    try:
        rows = read_manifest(folder / MANIFEST)
    except ManifestError:
        return False
    tested = {row.image.stem for row in rows if row.split == Split.TEST}
    return all(row.image.exists() and row.mask.exists() for row in rows) and (not test_names or tested == test_names)


def fetch_set(
    known: KnownSet,
    name: str,
    folder: Path,
    wish: Wish | None = None,
    *,
    bar: Bar = no_bar,
    say: Callable[[str], object] = lambda line: None,
) -> Arranged:
    """Download a data set, or use local files, and arrange it in ``folder``.

    Raises:
        PromiseError: if this fails. Everything downloaded so far is kept, and repeating the call resumes.
    """
    wish = wish or Wish()
    _check(known, name, folder, wish)
    sources = read_sources(folder) or Sources(name=name, licence=known.licence, licence_url=known.licence_url)
    roots = []
    for archive, path, url in _wanted(known, folder, wish):
        if path.is_dir():
            roots.append(path)
            source = DownloadSource(
                url=url, bytes=None, sha256=None, checked_against="nothing: a folder", date=_today()
            )
        else:
            if not wish.given:
                _bring(archive, path, url, sources, wish, bar)
            source = _checked(archive, path, url, sources, wish, folder, say)
            place = folder / _UNPACKED / (source.sha256 or "")[:16]
            if not (place / path.stem).exists():
                with bar(f"unpacking {path.name}", None, "bytes") as progress:
                    unpack(path, place / path.stem, progress=progress)
            roots.append(place)
        sources = replace(sources, archives=sources.archives | {path.name: source})
        write_sources(folder, sources)
    own = all(folder / _UNPACKED in root.parents for root in roots)
    with bar("arranging", known.images, "images") as progress:
        arranged = arrange(
            known, name, roots, folder, test_names=wish.test_names, may_link=own, progress=progress
        )  # fmt: skip
    discard_folder(folder / _UNPACKED)
    write_sources(folder, replace(sources, arranged=asdict(arranged)))
    return arranged


def _check(known: KnownSet, name: str, folder: Path, wish: Wish) -> None:
    """Check that options do not contradict each other, before anything is done.

    Raises:
        SettingsError: if they do.
        PromiseError: if the folder already contains another data set.
    """
    sources = read_sources(folder)
    there = sources.name if sources else "a data set of your own" if (folder / MANIFEST).exists() else name
    if there != name:
        raise PromiseError(f"{folder}: already contains {there}; choose another folder with -o")
    if wish.given and wish.mirror:
        raise SettingsError("--from and --url: pass only one of them; --from uses files on this machine")
    if wish.test_names and known.has_published(Split.TEST):
        raise SettingsError(f"--test-list: {name} has a published test split; omit the list")
    for archive in known.archives:
        if wish.sha256 and archive.sha256 and not wish.given and archive.sha256 not in wish.sha256:
            raise SettingsError(
                f"--sha256: {archive.file_name} is known to have {archive.sha256}, which is not among those given. "
                "Omit the option, or give it once for each archive"
            )


def _wanted(known: KnownSet, folder: Path, wish: Wish) -> list[tuple[Archive, Path, str]]:
    """Return each archive or folder to use, with its known properties, its path (to be), and its address or origin."""
    by_name = {archive.file_name: archive for archive in known.archives}
    if not wish.given:
        return [
            (archive, folder / ARCHIVES / archive.file_name, _address(archive, known, wish))
            for archive in known.archives
        ]
    wanted = []
    for place in wish.given:
        if not place.exists():
            raise SettingsError(f"--from {place}: no such file or folder")
        inside = [place / name for name in by_name if place.is_dir() and (place / name).is_file()]
        for path in inside or [place]:
            known_as = by_name.get(path.name, Archive(file_name=path.name))
            wanted.append((known_as, path, str(path.absolute())))
    if wish.sha256 and any(path.is_dir() for _, path, _ in wanted):
        raise SettingsError("--sha256: a folder has no checksum; pass the archive itself to --from")
    return wanted


def _address(archive: Archive, known: KnownSet, wish: Wish) -> str:
    if wish.mirror and (len(known.archives) == 1 and not wish.mirror.endswith("/")):
        return wish.mirror
    if wish.mirror:
        return f"{wish.mirror.rstrip('/')}/{archive.file_name}"
    return archive.url or ""


def _bring(archive: Archive, path: Path, url: str, sources: Sources, wish: Wish, bar: Bar) -> None:
    """Download an archive, unless it exists with the expected checksum, or exists and no checksum is known."""
    only = next(iter(wish.sha256)) if len(wish.sha256) == 1 else None
    expected = archive.sha256 or only
    noted = sources.archives.get(path.name)
    right = expected or (noted.sha256 if noted else None)
    if path.exists() and (right is None or file_sha256(path) == right):
        return
    try:
        with bar(path.name, archive.size, "bytes") as progress:
            download(url, path, size=archive.size, sha256=expected, progress=progress)
    except PromiseError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise
        raise PromiseError(
            f"{url}: the server's certificate cannot be verified, because its chain is incomplete or this machine "
            f"lacks its root. Download the archive in a browser, and pass --from {path.name}"
        ) from error


def _checked(
    archive: Archive,
    path: Path,
    url: str,
    sources: Sources,
    wish: Wish,
    folder: Path,
    say: Callable[[str], object],
) -> DownloadSource:
    """Verify the checksum of an archive against all known ones; a download with a wrong checksum is deleted.

    Raises:
        PromiseError: if the checksum is wrong.
    """
    found, noted = file_sha256(path), sources.archives.get(path.name)
    problem = ""
    if wish.sha256 and found not in wish.sha256:
        problem = f"SHA-256 {found}, expected {' or '.join(sorted(wish.sha256))} (--sha256)"
    elif noted and noted.sha256 and noted.sha256 != found:
        problem = (
            f"SHA-256 {found}, but {noted.sha256} when it was first fetched, on {noted.date}. If that is "
            f"intended, remove {folder / FILE_NAME}"
        )
    if problem:
        if not wish.given:
            path.unlink()
        raise PromiseError(f"{url}: not the expected file: {problem}. It was not used")
    if found == archive.sha256:
        against = "published SHA-256"
        say(f"{path.name}: correct SHA-256, {found}")
    elif wish.sha256:
        against = "--sha256"
        say(f"{path.name}: SHA-256 as requested, {found}")
    else:
        against = "first use"
        why = "not the published archive" if archive.sha256 else "no checksum is known"
        say(
            f"{path.name}: {why}; SHA-256 of this file: {found}. It is trusted on first use: recorded in "
            f"{folder / FILE_NAME}, and another fetch must give the same"
        )
    date = noted.date if noted and noted.sha256 == found else _today()
    return DownloadSource(url=url, bytes=path.stat().st_size, sha256=found, checked_against=against, date=date)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
