"""The classes of annotations: their names, which may be spelt in several ways, and their numbers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from promise_seg.curation.annotations.shapes import Document
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.images.masks import LARGEST_LABEL

UNNAMED = "object"
"""The class of all shapes if none of them has a class."""
_SHOWN = 20


@dataclass
class Classes:
    """The requested classes with their numbers, from 1, and the number of shapes per class.

    ``unlabelled`` and ``unwanted`` count the shapes that are left out because they have no class or a class that was
    not requested; ``spellings`` has a list of spellings for each class with several.
    """

    numbers: dict[str, int]
    counts: Counter[str]
    unlabelled: int = 0
    unwanted: int = 0
    spellings: list[list[str]] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)

    def name_of(self, spelt: str) -> str:
        """Return the class for any of its spellings; empty if the name is not a requested class."""
        name = self._names.get(_key(spelt), "")
        return name if name in self.numbers else ""


def classes_of(documents: Sequence[Document], only: Sequence[str] = ()) -> Classes:
    """Number the classes of all documents: first the classes that they list, in order, then others by name.

    Names that differ only in case or surrounding spaces are the same class, which gets the most frequent spelling.

    Args:
        documents: the documents that were read.
        only: names of the requested classes, in the order of their numbers; empty for all classes.

    Raises:
        SettingsError: if there is no class with a requested name.
        ManifestError: if there are more classes than a label map can hold.
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
        found[key] = max(own, key=lambda name: spelt[name])  # the first spelling if several are equally frequent
    return found
