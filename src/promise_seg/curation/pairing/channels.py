"""Further channels of paired images, stored in files next to them as in nnU-Net and BraTS."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.images.channel_files import case_and_word, channels_beside

_SHOWN = 3
_DESCRIPTION = "dataset.json"
_NAMES = ("channel_names", "modality")


@dataclass(frozen=True)
class ChannelSet:
    """The channels of the images of a data set, if each channel is a separate file.

    ``names`` are the names of all channels, in order; ``lacking`` are the images that lack some of them; ``first`` is
    the channel that the manifest names.
    """

    names: tuple[str, ...]
    lacking: tuple[Path, ...]
    first: str

    def words(self, folder: Path) -> str:
        """Return a line on which channels there are, and which are read."""
        known = _described(folder)
        listed = ", ".join(f"{name} {known[name]}" if name in known else name for name in self.names)
        return (
            f"channels: {len(self.names)} files for each image ({listed}). The column image_name has the files of "
            f"{self.first}, the only channel that is read unless you choose others, as in --channels "
            f"{','.join(self.names[:_SHOWN])}"
        )

    def remarks(self) -> list[str]:
        """Return a line about images that lack a channel, or an empty list if there are none."""
        if not self.lacking:
            return []
        names = ", ".join(path.name for path in self.lacking[:_SHOWN]) + " ..." * (len(self.lacking) > _SHOWN)
        return [f"{len(self.lacking)} image(s) lack a channel that others have ({', '.join(self.names)}): {names}"]


def channels_of(pairs: Sequence[ImagePair]) -> ChannelSet | None:
    """Return the channels of paired images; ``None`` if none of them has several files."""
    images = {pair.image for pair in pairs}
    found = {image: channels_beside(image, images) for image in dict.fromkeys(pair.image for pair in pairs)}
    longest = max(found.values(), key=len, default=())
    if not longest:
        return None
    names = (*longest, *dict.fromkeys(name for own in found.values() for name in own if name not in longest))
    lacking = tuple(image for image, own in found.items() if len(own) < len(names))
    first = next(case_and_word(image)[1] for image, own in found.items() if own == longest)
    return ChannelSet(names, lacking, first)


def _described(folder: Path) -> dict[str, str]:
    """Return the channel names in nnU-Net's ``dataset.json``, keyed by the endings of the files, such as ``0000``."""
    try:
        description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8-sig"))
        found = next(description[name] for name in _NAMES if name in description)
        return {f"{int(number):04}": str(name) for number, name in found.items()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError, StopIteration):
        return {}
