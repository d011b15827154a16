"""The owners of images: the patients, studies and series that are named in their DICOM files."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg.dataset.manifest import Row
from promise_seg.images.formats.identifiers import Identifiers, identifiers_of

_FEW_STUDIES = 3


@dataclass(frozen=True)
class Owner:
    """A patient, study or series: the ``kind`` (``patient``, ``study`` or ``series``) and its identifier, ``name``."""

    kind: str
    name: str


def owners_of(images: Sequence[Path]) -> list[Owner | None]:
    """Return the owner of each image, ``None`` for images that do not name any.

    The owner is the patient if the image names one, otherwise the study, or the series if all images are of one study.
    An image without a patient belongs to the patient of its study. If all images name the same patient but three or
    more studies, as after an anonymisation that replaces all names by one word, the study is used instead.
    """
    found = [identifiers_of(image) for image in images]
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


def grouped_by_owner(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, with the owner as the group of each row that has no group in the manifest."""
    loose = [row for row in rows if row.group == str(row.image)]
    owners = dict(zip(loose, owners_of([row.image for row in loose]), strict=True))
    return [replace(row, group=owner.name) if (owner := owners.get(row)) else row for row in rows]


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
