"""Data sets of drawn scenes, with files and a manifest like those of a user's own data: ``promise data draw``."""

import csv
import io
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from promise_seg.arguments import checks_arguments
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.progress import Progress, Stage, silent
from promise_seg.scenes.drawing import MOST_SIDE, draw_scene
from promise_seg.scenes.kinds import KINDS, MEDICAL_KINDS
from promise_seg.storage.files import check_writable, write_text, write_whole
from promise_seg.vocabulary import Split

MANIFEST = "manifest.csv"
_LEAST_SIDE = 32
_MOST_IMAGES = 1_000_000  # names have six digits


@checks_arguments("output", "train", "val", "test", "side", "kinds", "instances", "seed", "force", "progress")
def draw_data_set(
    output: str | Path,
    *,
    train: int = 200,
    val: int = 40,
    test: int = 60,
    side: int = 256,
    kinds: Sequence[str] = tuple(MEDICAL_KINDS),
    instances: bool = False,
    seed: int = 0,
    force: bool = False,
    progress: Progress = silent,
) -> Path:
    """Draw images with their masks and write a manifest, for trying, testing and pre-training without real data.

    The kinds of scenes alternate. The same arguments always give the same files; existing files are not drawn again,
    so a repeated call resumes an interrupted one.

    Args:
        output: the folder in which ``images``, ``masks`` and ``manifest.csv`` are written.
        train, val, test: the number of images of each split.
        side: the side of the square images, in pixels.
        kinds: the kinds of scenes, keys of :data:`~promise_seg.scenes.kinds.KINDS`.
        instances: whether masks are instance maps (8 bit, 0 for the background) instead of binary masks (0 and 255)
            of all objects together.
        seed: seed of the scenes; another seed gives other scenes.
        force: whether to overwrite an existing manifest, and to accept scenes of other settings in the folder.
        progress: called for each image.

    Returns:
        the path of the manifest.

    Raises:
        SettingsError: if there is nothing to draw, or a number or a kind is invalid.
        PromiseError: if the folder cannot be written, or contains a different manifest or scenes of other settings.
    """
    folder = Path(output)
    sizes = {Split.TRAIN: train, Split.VAL: val, Split.TEST: test}
    _check(sizes, side, kinds, seed)
    form = "instances" if instances else "mask"
    planned = []
    for number, split in enumerate(split for split, size in sizes.items() for _ in range(size)):
        kind = kinds[number % len(kinds)]
        stem = f"{kind}_{side}px_seed{seed}_{number:06d}"
        planned.append(_Planned(kind, split, f"images/{stem}.png", f"masks/{stem}_{form}.png"))
    text = _manifest(planned)
    manifest = folder / MANIFEST
    if not force:
        _refuse_another_set(manifest, text, {name for one in planned for name in (one.image_name, one.mask_name)})
    check_writable(folder)
    drawn = Stage(progress, "drawing", len(planned))
    for number, one in enumerate(planned):
        if not ((folder / one.image_name).exists() and (folder / one.mask_name).exists()):
            scene = draw_scene([seed, number], side, one.kind)
            mask = scene.instances if instances else np.where(scene.instances > 0, 255, 0).astype(np.uint8)
            write_whole(folder / one.image_name, Image.fromarray(scene.image).save)
            write_whole(folder / one.mask_name, Image.fromarray(mask).save)
        drawn()
    write_text(manifest, text)
    return manifest


def _refuse_another_set(manifest: Path, text: str, planned: Set[str]) -> None:
    """Refuse a folder with a different manifest, or with scenes of other settings, as from an interrupted call.

    Raises:
        PromiseError: if there is such a file; the message names it.
    """
    if manifest.exists() and manifest.read_bytes() != text.encode():
        raise PromiseError(f"{manifest}: already exists, with other rows. Choose another -o folder, or give --force")
    for place in ("images", "masks"):
        for path in sorted((manifest.parent / place).glob("*_*px_seed*_*.png")):
            if f"{place}/{path.name}" not in planned and not path.name.startswith("."):  # half-written ones
                raise PromiseError(
                    f"{path}: is a scene that was drawn with other settings or numbers. Choose another -o folder, or "
                    "give --force to leave it there"
                )


class _Planned(NamedTuple):
    """A scene to draw, and its row of the manifest."""

    kind: str
    split: Split
    image_name: str
    mask_name: str


def _manifest(planned: Sequence[_Planned]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image_name", "train_type", "mask_name"])
    writer.writerows([one.image_name, one.split, one.mask_name] for one in planned)
    return text.getvalue()


def _check(sizes: Mapping[Split, int], side: int, kinds: Sequence[str], seed: int) -> None:
    for split, size in sizes.items():
        if size < 0:
            raise SettingsError(f"--{split} {size}: expected at least 0")
    if sum(sizes.values()) > _MOST_IMAGES:
        raise SettingsError(
            f"--train, --val and --test: {sum(sizes.values()):,} images together; expected at most {_MOST_IMAGES:,}"
        )
    if not any(sizes.values()):
        raise SettingsError("--train, --val and --test are all 0, so there is nothing to draw. Give one of them")
    if side < _LEAST_SIDE:
        raise SettingsError(f"--side {side}: expected at least {_LEAST_SIDE}")
    if side > MOST_SIDE:
        raise SettingsError(f"--side {side}: expected at most {MOST_SIDE}")
    if seed < 0:
        raise SettingsError(f"--seed {seed}: expected at least 0")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise SettingsError(f"--kinds {','.join(unknown)}: expected one or more of {', '.join(KINDS)}")
