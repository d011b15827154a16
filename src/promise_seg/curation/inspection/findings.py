"""The findings of an inspection, and their severity."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """``error``: training would fail, or scores would be meaningless. ``warning``: worth a look, may be intended."""

    ERROR = "error"
    WARNING = "warning"


class Kind(StrEnum):
    """The kinds of findings."""

    MANIFEST = "manifest"
    UNREADABLE = "unreadable"
    INCOMPLETE = "incomplete"
    SIZE = "size"
    MASK_VALUES = "mask values"
    LEAK = "leak"
    CLASS_MISSING = "class missing"
    NEAR_DUPLICATE = "near-duplicate"
    DUPLICATE = "duplicate"
    DIVIDED_GROUP = "divided group"
    EMPTY_MASK = "empty mask"
    FULL_MASK = "full mask"
    INVERTED_MASKS = "inverted masks"
    MASK_MEANING = "mask meaning"
    CHANNELS = "channels"
    ORIENTATION = "orientation"
    MATCHED_BY_NUMBER = "matched by number"
    TINY_OBJECT = "tiny object"
    NO_CONTRAST = "no contrast"
    LOW_CONTRAST = "low contrast"
    DEPTH = "depth"
    VALUES_DIFFER = "values differ"
    SPLITS = "splits"
    REPAIRED = "repaired"


_ERRORS = frozenset({Kind.MANIFEST, Kind.UNREADABLE, Kind.SIZE, Kind.MASK_VALUES, Kind.LEAK, Kind.CLASS_MISSING})


@dataclass(frozen=True)
class Finding:
    """A definite or possible problem; ``where`` is ``file:line`` of the manifest, or the manifest itself."""

    kind: Kind
    where: str
    message: str

    @property
    def severity(self) -> Severity:
        """The severity, which follows from the kind of the finding."""
        return Severity.ERROR if self.kind in _ERRORS else Severity.WARNING

    def as_json(self) -> dict[str, str]:
        """Return the finding as an entry of the JSON report."""
        return {"severity": self.severity, "kind": self.kind, "where": self.where, "message": self.message}


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 if there are no findings, 1 if there are only warnings, and 2 if there are errors."""
    return max((2 if f.severity == Severity.ERROR else 1 for f in findings), default=0)
