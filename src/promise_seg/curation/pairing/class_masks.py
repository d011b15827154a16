"""Pair images with one mask for each class: ``masks/a_liver.png``, or ``masks/liver/a.png``."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from promise_seg.curation.pairing.matching import ImagePair, Matches, bare_stems
from promise_seg.curation.pairing.scanning import Entry, Scan, composed
from promise_seg.images.folder_names import IMAGE_FOLDERS, MASK_FOLDERS, plain

_MOST_CLASSES = 250
_NUMBERED = re.compile(r"(?:objects?|instances?|lesions?|parts?|polyps?|nodules?|cells?)?[_-]?\d+", re.IGNORECASE)


def match_classes(contents: Scan) -> Matches:
    """Pair each image in a folder of images with the masks of its classes in the folder of masks next to it.

    Nothing is paired if a mask has the name of an image and no class, or if no class occurs in several images although
    there are several. Classes that are numbers are read as objects.
    """
    found = Matches(ignored=list(contents.ignored), folders=set(contents.folders))
    of_a_name = defaultdict[tuple[str, str], list[Entry]](list)
    masks = list[Entry]()
    for entry in contents.entries:
        above, _, last = entry.parent.rpartition("/")
        if plain(last) in IMAGE_FOLDERS:
            of_a_name[composed(above), composed(entry.stem)].append(entry)
        elif {plain(part) for part in entry.parent.split("/")} & MASK_FOLDERS:
            masks.append(entry)
        else:
            found.unnamed.append(entry.path)
    images = {key: entries[0] for key, entries in of_a_name.items()}
    by_image = defaultdict[tuple[str, str], list[tuple[Entry, str]]](list)
    for mask in masks:
        owner = next(((key, name) for key, name in _owners(mask) if key in images), None)
        if owner is None:
            found.masks_alone.append(mask.path)
        else:
            by_image[owner[0]].append((mask, owner[1]))
    classes = Counter(name for own in by_image.values() for _, name in own)
    if not classes or "" in classes or len(classes) > _MOST_CLASSES or max(classes.values()) < min(2, len(images)):
        return Matches(folders=found.folders)
    if all(stem in bare_stems(mask.key[1]) for (_, stem), own in by_image.items() for mask, _ in own):
        return Matches(folders=found.folders)  # words such as "mask", which are not classes
    numbered = all(_NUMBERED.fullmatch(name) for name in classes)
    for key, image in images.items():
        own = by_image.get(key, [])
        if len(of_a_name[key]) > 1:
            names = ", ".join(entry.path.name for entry in of_a_name[key])
            found.clashes.append(f"{image.path.parent}: {names} have the same stem")
            continue
        objects, parts = tuple(mask.path for mask, _ in own), tuple(name for _, name in own)
        if not own:
            found.images_alone.append(image.path)
        elif len(own) == 1 and (numbered or len(classes) == 1):
            found.pairs.append(ImagePair(image.path, objects[0], image.stem, None, ""))
        else:
            parts = tuple(str(number) for number in range(len(own))) if numbered else parts
            found.pairs.append(ImagePair(image.path, objects[0].parent, image.stem, None, "", "", objects, parts))
    return found


def _owners(mask: Entry) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the keys of images that a mask may belong to, each with the class that the rest of its name would be.

    The class is empty if the mask has the name of the image, and is not in a subfolder.
    """
    parts = mask.parent.split("/")
    place = next(number for number, part in enumerate(parts) if plain(part) in MASK_FOLDERS)
    above, below = composed("/".join(parts[:place])), "-".join(parts[place + 1 :])
    for stem in (mask.stem, *bare_stems(mask.stem)):
        yield (above, composed(stem)), below
        for at in range(len(stem) - 1, 0, -1):
            if stem[at] in "_-. " and not below:
                yield (above, composed(stem[:at])), stem[at + 1 :].removeprefix("class_")
