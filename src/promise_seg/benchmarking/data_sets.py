"""The data of a benchmark, which are read and checked before anything is trained."""

from dataclasses import dataclass, replace

from promise_seg.benchmarking.cells import folder_name
from promise_seg.benchmarking.spec import BenchmarkSpec, DataSpec
from promise_seg.dataset.checks import CheckedRow, check_rows
from promise_seg.dataset.manifest import Row, read_manifest, split_off_validation
from promise_seg.dataset.owners import grouped, owners_note
from promise_seg.dataset.split_warnings import divided_warning
from promise_seg.errors import ManifestError, PromiseError
from promise_seg.progress import Progress, renamed, silent
from promise_seg.vocabulary import Protocol, Split

_NO_VALUE = "(empty)"


@dataclass(frozen=True)
class TestSet:
    """A test set: its name in the table, and its rows."""

    __test__ = False  # for pytest: not a test class

    name: str
    rows: tuple[CheckedRow, ...]


class DataSets:
    """The checked rows of all data sets of a benchmark.

    ``notes`` are notes and warnings about their groups.

    Args:
        spec: the spec of the benchmark.
        checking: called for each row that is checked.

    Raises:
        PromiseError: if a data set has problems; the message lists the problems of its rows.
    """

    def __init__(self, spec: BenchmarkSpec, checking: Progress = silent) -> None:
        self.spec = spec
        self.manifests = read_manifests(spec)
        self.notes = [
            f"{name}: {words}"
            for name, rows in self.manifests.items()
            for words in (divided_warning(rows), owners_note(rows))
            if words is not None
        ]
        self._rows: dict[tuple[str, bool], list[CheckedRow]] = {}
        for data in spec.data:
            for protocol in protocols_of(spec, data):
                self._check(data, protocol, checking)
        for data in spec.data:
            if data.train:
                for protocol in protocols_of(spec, data):
                    self._check_tests(data, protocol)

    def rows(self, data: DataSpec, protocol: Protocol) -> list[CheckedRow]:
        """Return the checked rows of a data set; the published procedure crops black borders unless ``crop_border`` is
        set in the spec."""
        return self._rows[data.name, _crops(data, protocol)]

    def of_split(self, data: DataSpec, protocol: Protocol, split: Split) -> list[CheckedRow]:
        """Return the checked rows of one split."""
        return [row for row in self.rows(data, protocol) if row.row.split == split]

    def tests(self, data: DataSpec, protocol: Protocol) -> list[TestSet]:
        """Return the test sets on which the models of a data set are scored.

        Raises:
            ManifestError: if a manifest lacks the column that ``by`` names.
        """
        found = []
        for other in self.spec.tests_of(data):
            rows = self.of_split(other, protocol, Split.TEST)
            if other.by is None:
                found.append(TestSet(other.name, tuple(rows)))
                continue
            values = [dict(row.row.extra).get(other.by) for row in rows]
            if None in values:
                known = ", ".join(name for name, _ in rows[0].row.extra) or "none"
                raise ManifestError(f"{other.manifest}: by: {other.by}: no such column; expected one of {known}")
            for value in dict.fromkeys(values):
                chosen = tuple(row for row, own in zip(rows, values, strict=True) if own == value)
                found.append(TestSet(value or _NO_VALUE, chosen))
        return found

    def _check(self, data: DataSpec, protocol: Protocol, checking: Progress) -> None:
        reading = data.reading.model_copy(update={"crop_border": _crops(data, protocol)})
        rows = check_rows(self.manifests[data.name], reading, renamed(checking, f"checking {data.name}"))
        if data.train and not any(row.foreground_pixels for row in rows if row.row.split == Split.TRAIN):
            raise ManifestError(
                f"{data.manifest}: the masks of all train rows are empty, so there is nothing to train on"
            )
        self._rows[data.name, reading.crop_border] = rows

    def _check_tests(self, data: DataSpec, protocol: Protocol) -> None:
        """Check that test sets have different folders, and no images that are train or val rows of the data set.

        Images of other data sets with equal pixels in different files are refused too; for those of the same data set,
        reading it has given a warning. Groups that other data sets share with these rows are noted.
        """
        known = {row.image_sha256: row for row in self.rows(data, protocol) if row.row.split != Split.TEST}
        pixels = {row.rgb_sha256: row for row in self.rows(data, protocol) if row.row.split != Split.TEST}
        own = {row.where for row in self.manifests[data.name]}
        groups = {row.row.group for row in known.values() if row.row.has_group}
        places: set[str] = set()
        for test in self.tests(data, protocol):
            place = folder_name(test.name).casefold()
            if place in places:
                raise ManifestError(
                    f"{data.name}: the test set {test.name!r} shares its folder with another; rename a data set, or "
                    "values of the column that by names"
                )
            places.add(place)
            self._note_shared(data, test, groups)
            for row in test.rows:
                other = known.get(row.image_sha256)
                if other is None and row.rgb_sha256 and row.row.where not in own:
                    other = pixels.get(row.rgb_sha256)
                if other is not None:
                    raise ManifestError(
                        f"{row.row.where}: the test image {row.name} is a {other.row.split} row of {data.name} "
                        f"({other.row.where}), whose models are scored on it. Remove one of the two rows, or "
                        f"{test.name} from the tests of {data.name}"
                    )

    def _note_shared(self, data: DataSpec, test: TestSet, groups: set[str]) -> None:
        """Note the groups of train and val rows that a test set of another data set also has."""
        own = {row.where for row in self.manifests[data.name]}
        shared = sorted({row.row.group for row in test.rows if row.row.group in groups and row.row.where not in own})
        if not shared:
            return
        words = (
            f"{data.name}: {len(shared)} group(s) of its train and val rows are also in the test set {test.name}, for "
            f"example {shared[0]!r}; if they are the same patients or videos, its scores there are too optimistic"
        )
        if words not in self.notes:  # for another way of reading the files
            self.notes.append(words)


def _crops(data: DataSpec, protocol: Protocol) -> bool:
    return protocol == Protocol.REFERENCE if data.crop_border is None else data.crop_border


def protocols_of(spec: BenchmarkSpec, data: DataSpec) -> list[Protocol]:
    """Return one protocol for each way of reading the files; only ``crop_border`` depends on it, if it is not set."""
    found = list(dict.fromkeys(spec.protocol_of(model) for model in spec.models))
    return found if data.crop_border is None else found[:1]


def read_manifests(spec: BenchmarkSpec) -> dict[str, list[Row]]:
    """Return the rows of each data set by its name; their files are opened only to find the patients of DICOM
    images.

    Raises:
        PromiseError: if manifests cannot be read, or lack rows of a split that the benchmark needs; the message lists
            the problems of all data sets.
    """
    found: dict[str, list[Row]] = {}
    problems: list[PromiseError] = []
    for data in spec.data:
        try:
            found[data.name] = manifest_rows(data)
            _check_splits(spec, data, found[data.name])
        except PromiseError as error:
            problems.append(error)
    if problems:
        raise type(problems[0])("\n".join(map(str, problems)))
    return found


def _check_splits(spec: BenchmarkSpec, data: DataSpec, rows: list[Row]) -> None:
    wanted = {Split.TRAIN} if data.train else set()
    if any(data in spec.tests_of(other) for other in spec.data if other.train):
        wanted.add(Split.TEST)
    if missing := wanted - {row.split for row in rows}:
        raise ManifestError(f"{data.manifest}: no {', '.join(sorted(missing))} rows, which the benchmark needs")


def manifest_rows(data: DataSpec) -> list[Row]:
    """Return the rows of a data set; if it is trained on and has no val rows, some train rows become val rows.

    Raises:
        PromiseError: if the manifest cannot be read, or ``mask_folder`` cannot replace its masks.
    """
    try:
        rows = read_manifest(data.manifest)
    except PromiseError as error:
        raise type(error)(f"data.{data.name}: {error}") from error
    if data.mask_folder is not None:
        rows = [replace(row, mask=data.mask_folder / row.mask.name) for row in _of_one_name(rows, data)]
    rows = grouped(rows)
    has_train = any(row.split == Split.TRAIN for row in rows)
    if data.train and has_train and not any(row.split == Split.VAL for row in rows):
        rows = split_off_validation(rows)
    return rows


def _of_one_name(rows: list[Row], data: DataSpec) -> list[Row]:
    """Return the rows; raise an error if masks in different folders have the same file name."""
    first: dict[str, Row] = {}
    for row in rows:
        other = first.setdefault(row.mask.name, row)
        if other.mask != row.mask:
            raise ManifestError(
                f"{row.where}: mask_folder: {row.mask.name} is also the name of the mask in {other.where}, in "
                f"another folder; {data.mask_folder} can contain only one of them"
            )
    return rows
