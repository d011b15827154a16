"""The owners of images: the patients, studies and series that are named in their DICOM files."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg.dataset.manifest import Row, file_of, with_files_together
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.identifiers import Identifiers, identifiers_of
from promise_seg.images.formats.kinds import suffix_of
from promise_seg.quantities import count_in_words
from promise_seg.storage.remote_paths import RemotePath
from promise_seg.vocabulary import Split

_FEW_STUDIES = 3
Read = Callable[[Path], Identifiers | None]


@dataclass(frozen=True)
class Owner:
    """A patient, study or series: the ``kind`` (``patient``, ``study`` or ``series``) and its identifier, ``name``."""

    kind: str
    name: str


def owners_of(images: Sequence[Path], read: Read | None = None) -> list[Owner | None]:
    """Return the owner of each image, ``None`` for images that do not name any.

    The owner is the patient if the image names one, otherwise the study, or the series if all images are of one study.
    An image without a patient belongs to the patient of its study. If all images name the same patient but three or
    more studies, as after an anonymisation that replaces all names by one word, the study is used instead.

    Args:
        images: the files or folders of the images.
        read: function that returns the identifiers of an image; by default, :func:`identifiers_of`.
    """
    read = read or identifiers_of
    found = [read(image) for image in images]
    known = [one for one in found if one is not None]
    patients, studies = {one.patient for one in known} - {""}, {one.study for one in known} - {""}
    if len(patients) == 1 and len(studies) >= _FEW_STUDIES:
        return [None if one is None else _study_or_series(one, studies) for one in found]
    of_study = {one.study: one.patient for one in known if one.study and one.patient}
    return [None if one is None else _owner(one, of_study, studies) for one in found]


def _owner(one: Identifiers, of_study: dict[str, str], studies: Iterable[str]) -> Owner:
    patient = one.patient or of_study.get(one.study, "")
    return Owner("patient", patient) if patient else _study_or_series(one, studies)


def _study_or_series(one: Identifiers, studies: Iterable[str]) -> Owner:
    if one.study and (len(set(studies)) > 1 or not one.series):
        return Owner("study", one.study)
    return Owner("series", one.series)


def grouped_by_owner(rows: Sequence[Row], read: Read | None = None) -> list[Row]:
    """Return the rows, with the owner as the group of each row that has no group in the manifest.

    Rows whose image file has a group in another row are left, as :func:`with_files_together` gives them that group. The
    group is named by a hash of the owner's identifier, so that scores and pages do not contain it; if the manifest has
    a group with the identifier as its name, the rows join this group. Each header is read once.

    Args:
        rows: the rows, each with another ``where``.
        read: as for :func:`owners_of`.
    """
    named = {row.group for row in rows if row.has_group}
    files = {file_of(row) for row in rows if row.has_group}
    loose = [row for row in rows if not row.has_group and (not files or file_of(row) not in files)]
    images = list(dict.fromkeys(row.image for row in loose))
    owner_of = dict(zip(images, owners_of(images, read), strict=True))
    group_of = {
        row.where: owner.name if owner.name in named else _group_name(owner)
        for row in loose
        if (owner := owner_of[row.image]) is not None
    }
    return [replace(row, group=group_of[row.where], is_of_owner=True) if row.where in group_of else row for row in rows]


def _group_name(owner: Owner) -> str:
    """Return a name that is the same in every manifest, but does not contain the identifier."""
    return f"{owner.kind} {hashlib.sha256(f'{owner.kind} {owner.name}'.encode()).hexdigest()[:12]}"


def grouped(rows: Sequence[Row], needed: Collection[str] = tuple(Split)) -> list[Row]:
    """Return the rows in the groups that must stay together.

    These are the groups of the manifest; for rows without a group, the patients, studies or series that their DICOM
    files name, and otherwise their image files.

    Args:
        rows: all rows of a manifest, because the patients of one split alone may be mistaken for an anonymised name.
        needed: the splits whose images are needed. Of images at addresses, only those of these splits are downloaded,
            and only if their names allow for DICOM files.
    """
    known = [row for row in rows if not isinstance(row.image, RemotePath) or _may_name_owner(row, needed)]
    owned = {row.where: row for row in grouped_by_owner(known)}
    return with_files_together([owned.get(row.where, row) for row in rows])


def _may_name_owner(row: Row, needed: Collection[str]) -> bool:
    return row.split in needed and suffix_of(row.image) in ("", *DicomImage.suffixes)


def owners_note(rows: Sequence[Row]) -> str | None:
    """Return a note on rows that were grouped by :func:`grouped_by_owner`, or ``None`` if there are none."""
    owned = [row for row in rows if row.is_of_owner]
    if not owned:
        return None
    groups = count_in_words(len({row.group for row in owned}), "group")
    return (
        "rows without a group were grouped by the patients, studies or series that their DICOM files name "
        f"({count_in_words(len(owned), 'row')} in {groups})"
    )


def divided_owners(rows: Sequence[Row]) -> list[tuple[Owner, list[Row]]]:
    """Return the patients, studies or series whose rows are in several splits, each with its rows.

    A patient is reported even if all images belong to this patient, and a series even if its images differ in patient.
    """
    found = [identifiers_of(row.image) for row in rows]
    known = [(row, one) for row, one in zip(rows, found, strict=True) if one is not None]
    of_study = {one.study: one.patient for _, one in known if one.study and one.patient}
    studies = {one.study for _, one in known}
    together = defaultdict[Owner, list[Row]](list)
    for row, one in known:
        owner = _owner(one, of_study, studies)
        together[owner].append(row)
        if owner.kind != "series" and one.series:
            together[Owner("series", one.series)].append(row)
    divided = [(owner, own) for owner, own in together.items() if len({row.split for row in own}) > 1]
    covered = {row for owner, own in divided if owner.kind != "series" for row in own}
    return [(owner, own) for owner, own in divided if owner.kind != "series" or not covered.issuperset(own)]
