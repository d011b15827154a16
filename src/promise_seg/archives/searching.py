"""Find studies, series and instances in an archive (QIDO-RS), page by page."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from promise_seg.archives.connection import ArchiveRequest, Connection, Response
from promise_seg.archives.dicom_json import DICOM_JSON, Item, has, items_of, text, uid, values
from promise_seg.archives.errors import ArchiveError
from promise_seg.archives.filters import OF_SERIES, OF_STUDIES, fits, of_level

_PAGE = 200
_MOST_ITEMS = 1_000_000
_MOST_PASSES = 5
_WITHOUT_PIXELS = frozenset({
    "SEG", "SR", "PR", "KO", "RTSTRUCT", "RTPLAN", "RTRECORD", "DOC", "REG", "FID", "PLAN", "AU", "ECG", "HD", "EPS",
    "RESP", "M3D", "SMR", "STAIN", "ANN", "ASMT", "VA", "RWV",
})  # fmt: skip
"""Modalities whose objects hold no image. Source: DICOM PS3.3, C.7.3.1.1.1."""


@dataclass(frozen=True)
class Series:
    """A series of a study.

    Args:
        study: identifier of the study.
        uid: identifier of the series.
        modality: modality, such as ``CT``; empty if the archive does not state it.
    """

    study: str
    uid: str
    modality: str = ""

    @property
    def path(self) -> str:
        """The path of the series below the root of the archive."""
        return f"/studies/{self.study}/series/{self.uid}"

    @property
    def may_hold_images(self) -> bool:
        """Whether objects of its modality may be images; segmentations and reports are not."""
        return self.modality not in _WITHOUT_PIXELS


def find_studies(connection: Connection, note: Callable[[str], object] = lambda line: None) -> list[str]:
    """Return the identifiers of all studies that match the filters of the address.

    Args:
        connection: connection to the archive.
        note: called with a line if the archive ignores a filter.

    Raises:
        ArchiveError: if the archive cannot be searched.
    """
    filters = of_level(connection.address.filters, OF_STUDIES)
    found = dict.fromkeys(
        uid(item, "StudyInstanceUID")
        for item in _fitting(_pages(connection, "/studies", filters, "StudyInstanceUID"), filters, note)
    )
    return list(found)


def find_series(
    connection: Connection,
    study: str,
    note: Callable[[str], object] = lambda line: None,
    filters: Mapping[str, str] | None = None,
) -> list[Series]:
    """Return the series of a study that match filters, including series without images.

    Args:
        connection: connection to the archive.
        study: identifier of the study.
        note: called with a line if the archive ignores a filter.
        filters: filters of series; by default those of the address.

    Raises:
        ArchiveError: if the archive cannot be searched.
    """
    if filters is None:
        filters = of_level(connection.address.filters, OF_SERIES)
    items = _pages(connection, f"/studies/{study}/series", filters, "SeriesInstanceUID")
    return [
        Series(study, uid(item, "SeriesInstanceUID"), text(item, "Modality")) for item in _fitting(items, filters, note)
    ]


def find_instances(connection: Connection, series: Series) -> list[str]:
    """Return the identifiers of all instances of a series, sorted.

    Raises:
        ArchiveError: if the archive cannot be searched.
    """
    items = _pages(connection, f"{series.path}/instances", {}, "SOPInstanceUID")
    return sorted({uid(item, "SOPInstanceUID") for item in items})


def is_listed(connection: Connection, series: Series, instance: str) -> bool:
    """Whether an archive lists an instance.

    Raises:
        ArchiveError: if the archive cannot be searched.
    """
    request = ArchiveRequest(
        f"{series.path}/instances", DICOM_JSON, {"SOPInstanceUID": instance}, passing=frozenset({404})
    )
    items = connection.exchange(request, _items_or_none)
    return any(text(item, "SOPInstanceUID") == instance for item in items)


def _items_or_none(answer: Response) -> list[Item]:
    return [] if answer.status == 404 else items_of(answer)


def _pages(connection: Connection, path: str, filters: Mapping[str, str], key: str) -> Iterator[Item]:
    """Yield the items of all pages, each once.

    Items deleted meanwhile move others to pages that were read already. If there are several pages, they are therefore
    read again until they have no new items, at most five times.

    Raises:
        ArchiveError: if there are more than a million items.
    """
    seen: set[str] = set()
    for _ in range(_MOST_PASSES):
        before, pages = len(seen), 0
        for page in _one_pass(connection, path, filters, key):
            pages += 1
            for item in page:
                if text(item, key) not in seen:
                    seen.add(text(item, key))
                    yield item
        if pages < 2 or len(seen) == before:
            return


def _one_pass(connection: Connection, path: str, filters: Mapping[str, str], key: str) -> Iterator[list[Item]]:
    """Yield pages from the first to the last.

    Archives may return fewer items than requested, and some return all items on every page. Reading therefore stops at
    the first page without new items.
    """
    seen: set[str] = set()
    offset = 0
    while True:
        request = ArchiveRequest(path, DICOM_JSON, {**filters, "limit": _PAGE, "offset": offset})
        page = connection.exchange(request, items_of)
        known = len(seen)
        seen.update(text(item, key) for item in page)
        if len(seen) == known:
            return
        if len(seen) > _MOST_ITEMS:
            raise ArchiveError(
                f"{connection.address.root}{path}: answers with more than {_MOST_ITEMS:,} items. Choose "
                "fewer by filters"
            )
        yield page
        offset += len(page)


def _fitting(items: Iterator[Item], filters: Mapping[str, str], note: Callable[[str], object]) -> Iterator[Item]:
    """Yield the items that match the filters, and report each filter that the archive ignores once."""
    ignored: set[str] = set()
    for item in items:
        wrong = [
            name for name, wanted in filters.items() if has(item, name) and not fits(name, wanted, values(item, name))
        ]
        if not wrong:
            yield item
        elif not ignored.issuperset(wrong):
            ignored.update(wrong)
            note(f"the archive ignores the filter {', '.join(wrong)}: what does not fit it is left out here")
