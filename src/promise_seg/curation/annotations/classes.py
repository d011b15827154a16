"""The classes of annotations: their names, which may be spelt in several ways, and the numbers they get."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from promise_seg.curation.annotations.shapes import Document
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.images.masks import LARGEST_LABEL

UNNAMED = "object"
"""The class of all shapes if none of them has one."""
_SHOWN = 20


@dataclass
class Classes:
    """The classes that are wanted, with their numbers, and how many shapes each has.

    ``unlabelled`` and ``unwanted`` count shapes that are left out, as they have no class or another one; ``spellings``
    are the ways in which a class is spelt, if there are several.
    """

    numbers: dict[str, int]
    counts: Counter[str]
    unlabelled: int = 0
    unwanted: int = 0
    spellings: list[list[str]] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)

    def name_of(self, spelt: str) -> str:
        """Return the class of a name as it is spelt; empty if it is none, or not wanted."""
        name = self._names.get(_key(spelt), "")
        return name if name in self.numbers else ""


def classes_of(documents: Sequence[Document], only: Sequence[str] = ()) -> Classes:
    """Number the classes of all documents: first those that they list, in their order, then others by name.

    Names that differ by capitals or spaces around them alone are one class, called as it is spelt most often.

    Args:
        documents: what was read.
        only: the names of the classes that are wanted, in this order; all if there are none.

    Raises:
        SettingsError: if there is no class of a wanted name.
        ManifestError: if there are no shapes with a class, or too many classes.
    """
    spelt = Counter(shape.class_name.strip() for one in documents for image in one.images for shape in image.shapes)
    unlabelled = spelt.pop("", 0)
    stated = [name.strip() for one in documents for name in one.classes if name.strip()]
    if unlabelled and not spelt:
        spelt[UNNAMED], unlabelled = unlabelled, 0
        stated = [UNNAMED]
    names = _names(stated, spelt)
    order = list(dict.fromkeys(names[_key(name)] for name in (*stated, *sorted(spelt))))
    if only:
        if unknown := [name for name in only if _key(name) not in names]:
            raise SettingsError(f"--only {unknown[0]}: there is no such class; there are {', '.join(order[:_SHOWN])}")
        order = list(dict.fromkeys(names[_key(name)] for name in only))
    if len(order) > LARGEST_LABEL:
        raise ManifestError(f"{len(order)} classes, more than the {LARGEST_LABEL} that a label map can hold")
    counts = Counter[str]()
    for name, count in spelt.items():
        counts[names[_key(name)]] += count
    unwanted = sum(count for name, count in counts.items() if name not in order)
    if set(spelt) == {UNNAMED}:
        names[""] = UNNAMED
    return Classes(
        {name: number for number, name in enumerate(order, 1)}, counts, unlabelled, unwanted,
        [own for own in _spellings(spelt).values() if len(own) > 1 and names[_key(own[0])] in order], names,
    )  # fmt: skip


def _key(name: str) -> str:
    return name.strip().casefold()


def _spellings(names: Iterable[str]) -> dict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for name in names:
        found[_key(name)].append(name)
    return found


def _names(stated: Sequence[str], spelt: Counter[str]) -> dict[str, str]:
    found = dict[str, str]()
    for key, own in _spellings(dict.fromkeys((*stated, *spelt))).items():
        found[key] = max(own, key=lambda name: spelt[name])  # of equal ones the first
    return found
