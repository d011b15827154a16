"""Get a known data set for a user, with instructions for steps to be done by hand, and a report of the result."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from promise_seg.curation.sets.arranging import MANIFEST, VALIDATION_SEED, VALIDATION_SHARE
from promise_seg.curation.sets.fetching import Wish, fetch_set, is_finished, needs_hands
from promise_seg.curation.sets.known_sets import KnownSet, known_set
from promise_seg.curation.sets.mask_pictures import THRESHOLD
from promise_seg.errors import PromiseError, SettingsError, first_line
from promise_seg.storage.download import Bar, no_bar

Say = Callable[[str], object]


def parse_wish(url: str | None, given: Sequence[Path], sha256: Sequence[str], test_list: Path | None) -> Wish:
    """Return the options of a fetch for the options of a command line; local files override a mirror.

    Args:
        url: the address of a mirror.
        given: local archives or folders.
        sha256: the allowed checksums of archives.
        test_list: text file with image names, one per line.

    Raises:
        SettingsError: if a checksum is not a SHA-256, or the list cannot be read or is empty.
    """
    return Wish(
        mirror=None if given else url,
        given=tuple(given),
        sha256=frozenset(_hash(one) for one in sha256),
        test_names=_names(test_list) if test_list else frozenset(),
    )


def _hash(given: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", given):
        raise SettingsError(f"--sha256 {given}: expected 64 hexadecimal digits, as sha256sum prints them")
    return given.lower()


def _names(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--test-list {path}: cannot be read: {first_line(error)}") from error
    names = frozenset(Path(line.strip()).stem for line in lines if line.strip())
    if not names:
        raise SettingsError(f"--test-list {path}: has no names; expected one a line")
    return names


def get_set(
    name: str,
    folder: Path,
    wish: Wish,
    *,
    accept_licence: bool = False,
    test_list: Path | None = None,
    bar: Bar = no_bar,
    say: Say = lambda line: None,
) -> None:
    """Fetch a known data set into a folder and write its manifest, unless this was done before.

    Args:
        name: name of the data set.
        folder: the folder to write to.
        wish: the options of the fetch.
        accept_licence: whether the user has read and accepts the licence.
        test_list: the file that the names of test images in ``wish`` come from.
        bar: opens a progress bar.
        say: called with each line about the progress and the result.

    Raises:
        SettingsError: if there is no such data set, or options contradict each other.
        PromiseError: if the user must download the archives or accept the licence first, or fetching fails.
    """
    known = known_set(name)
    if is_finished(folder, wish.test_names):
        say(f"{folder / MANIFEST}: already there")
        return
    say(f"{name}: {known.about}. {known.images:,} images, {size_words(known)}. See {known.source}")
    say(f"licence: {known.licence}. See {known.licence_url}")
    _check_readiness(name, known, wish, accept_licence, say)
    arranged = fetch_set(known, name, folder, wish, bar=bar, say=say)
    if arranged.cut_masks:
        say(
            f"{arranged.cut_masks:,} of {known.images:,} masks had intermediate grey values and were thresholded at "
            f"{THRESHOLD}; all are 0/255 PNG"
        )
    counts = ", ".join(f"{count:,} {split}" for split, count in arranged.rows.items())
    say(f"splits: {known.splits if not wish.test_names else f'test rows as in {test_list}'}")
    if arranged.own_validation:
        say(
            f"val: {arranged.own_validation:,} train rows chosen by promise-seg (about {VALIDATION_SHARE:.0%}, seed "
            f"{VALIDATION_SEED}, whole groups, never of test)"
        )
    say(f"{folder / MANIFEST}: {counts} rows")


def _check_readiness(name: str, known: KnownSet, wish: Wish, accept_licence: bool, say: Say) -> None:
    """Check that the user has downloaded the archives and accepted the licence, where this is required.

    Raises:
        PromiseError: if not; the message explains what to do.
    """
    if needs_hands(known, wish):
        accept = " --accept-licence" if known.must_accept else ""
        files = " ".join(f"--from {archive.file_name}" for archive in known.archives)
        if known.archives[0].file_name.endswith(".rar"):
            files = "--from FOLDER"
        say(f"to do by hand: {known.by_hand} Save it anywhere and give its path to --from.")
        raise PromiseError(f"{name}: must be got by hand, see above; then: promise data fetch {name} {files}{accept}")
    if known.must_accept and not accept_licence:
        raise PromiseError(
            f"{name}: its licence ({known.licence}; {known.licence_url}) must be accepted. Read it, then give the same "
            "command with --accept-licence"
        )


def size_words(known: KnownSet) -> str:
    """Return the size of a data set as text, in MB."""
    return "size unknown" if known.size is None else f"{known.size / 1e6:,.0f} MB"
