"""Remove the least recently used entries of a feature store, also while other processes use it."""

from dataclasses import dataclass
from pathlib import Path

from promise_seg.errors import PromiseError
from promise_seg.features.contents import Entry, entries_of
from promise_seg.features.store import work_began
from promise_seg.storage.strays import remove_strays


@dataclass(frozen=True)
class Pruned:
    """The number and the size in bytes of entries that were removed, and of those that are left.

    ``spared`` entries are left although they would have been removed, because running processes use them.
    """

    freed: int
    freed_bytes: int
    kept: int
    kept_bytes: int
    spared: int


def prune(folder: Path, most_bytes: int) -> Pruned:
    """Remove entries, the least recently used first, until the store is not larger than a limit.

    Entries used since the first of the running processes began are kept. If an entry that is needed is removed
    nevertheless, its image is encoded again, and results do not change.

    Args:
        folder: folder of the store.
        most_bytes: the limit.

    Raises:
        PromiseError: if a file cannot be removed.
    """
    for place in (folder, *(path for path in folder.glob("[0-9a-f][0-9a-f]") if path.is_dir())):
        remove_strays(place)
    entries = sorted(entries_of(folder), key=lambda entry: (entry.last_used, entry.path))
    began = work_began(folder)
    size = sum(entry.size for entry in entries)
    freed = freed_bytes = spared = 0
    for entry in entries:
        if size <= most_bytes:
            break
        if began is not None and entry.last_used >= began:
            spared += 1
            continue
        _remove(entry)
        freed, freed_bytes, size = freed + 1, freed_bytes + entry.size, size - entry.size
    return Pruned(freed, freed_bytes, len(entries) - freed, size, spared)


def _remove(entry: Entry) -> None:
    try:
        entry.path.unlink(missing_ok=True)
    except OSError as error:
        raise PromiseError(
            f"{entry.path}: cannot be removed: {error.strerror}. Ask whoever owns the store, or name another --store"
        ) from error
