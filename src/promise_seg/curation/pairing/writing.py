"""Turn pairs of images and masks into a manifest."""

from collections.abc import Sequence
from pathlib import Path

from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.dataset.manifest_file import REQUIRED_COLUMNS
from promise_seg.dataset.manifest_writing import ManifestTable, path_from, slice_ranges
from promise_seg.images.formats.kinds import SUFFIXES, suffix_of, told_by_content
from promise_seg.vocabulary import Split


def pairs_table(pairs: Sequence[ImagePair], path: Path, every: int = 1) -> ManifestTable:
    """Return the manifest of pairs, to be written to ``path``.

    It has the columns ``group``, ``dataset`` and ``slice`` if any pair has a value for them. A pair with ``slices`` has
    a row for each range of them. If ``every`` is N > 1, ``slice`` is ``:N`` for videos, to use every Nth frame.
    """
    header = list(REQUIRED_COLUMNS)
    rows = [(pair, part) for pair in pairs for part in slice_ranges(pair.slices) or [""]]
    pairs = [pair for pair, _ in rows]
    cells = [
        [path_from(path.parent, pair.image), str(pair.split or Split.TRAIN), path_from(path.parent, pair.mask)]
        for pair in pairs
    ]
    more = {"group": [pair.group for pair in pairs], "dataset": [pair.dataset for pair in pairs]}
    if every > 1:
        more["slice"] = [f":{every}" if _is_video(pair.image) else "" for pair in pairs]
    else:
        more["slice"] = [part for _, part in rows]
    for name, values in more.items():
        if any(values):
            header.append(name)
            for row, value in zip(cells, values, strict=True):
                row.append(value)
    return ManifestTable(path, header, cells, [])


def _is_video(image: Path) -> bool:
    kind = SUFFIXES.get(suffix_of(image)) or told_by_content(image)
    return kind is not None and kind.is_in_time
