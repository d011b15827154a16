"""Make a manifest for a folder: pair images with masks, merge several masks of an image, and find groups."""

from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg.arguments import checks_arguments
from promise_seg.curation.pairing.folders import Pairing, pair_by_patterns, pair_folder
from promise_seg.curation.pairing.groups import (
    group_pattern,
    groups_of,
    no_groups_note,
    single_group_warning,
    with_groups,
)
from promise_seg.curation.pairing.mask_kinds import masks_advice
from promise_seg.curation.pairing.merging import Merging, merge_objects
from promise_seg.curation.pairing.writing import pairs_table
from promise_seg.dataset.manifest_writing import Written, write_new
from promise_seg.errors import SettingsError
from promise_seg.images.own_folders import MERGED
from promise_seg.progress import Progress, silent
from promise_seg.vocabulary import Several
from promise_seg.workflows.choices import chosen


@dataclass(frozen=True)
class Made:
    """The result of making a manifest.

    Args:
        output: the manifest that was written.
        pairing: pairs of images and masks, and the files that were left out.
        merging: the result of merging several masks of an image; ``None`` if no image has several.
        grouped_by: description of how images were grouped; empty if they were not, or by the layout or the user.
        outcome: whether the manifest was written, replaced another one, or was there already.
        masks_advice: the option with which the masks must be read; ``None`` if they need none.
    """

    output: Path
    pairing: Pairing
    merging: Merging | None
    grouped_by: str
    outcome: Written = Written.NEW
    masks_advice: str | None = None

    @property
    def masks_folder(self) -> Path:
        """The folder of the merged masks, which exists if any were merged."""
        return _masks_folder(self.output)

    @property
    def lines(self) -> list[str]:
        """A summary of the result, one line for each part."""
        lines = [
            f"layout: {self.pairing.layout}",
            "pairs: " + ", ".join(f"{split} {count}" for split, count in self.pairing.counts().items()),
        ]
        if named := self._groups():
            by = f" ({self.grouped_by})" if self.grouped_by else ""
            lines.append(f"groups: {len(set(named))}, for example {named[0]}{by}")
        if self.pairing.channels:
            lines.append(self.pairing.channels.words(self.pairing.folder))
        if self.merging:
            lines.append(_merged(self.merging, self.masks_folder))
        return [*lines, f"{self.outcome}: {self.output}"]

    @property
    def warnings(self) -> list[str]:
        """Notes on everything that was left out or assumed, one line each."""
        of_channels = self.pairing.channels.remarks() if self.pairing.channels else []
        of_groups = single_group_warning(self.pairing.pairs)
        of_merging = self.merging.remarks() if self.merging else []
        return self.pairing.remarks() + of_channels + of_merging + ([of_groups] if of_groups else [])

    @property
    def advice(self) -> list[str]:
        """Advice on choices that are left to the user: how to read the masks, groups if none are known, and splits."""
        lines = [self.masks_advice] if self.masks_advice else []
        if not self._groups() and len(self.pairing.pairs) > 1:
            lines.append(no_groups_note(self.pairing.pairs))
        if not self.pairing.knows_splits:
            lines.append(
                "the folders do not define splits, so all rows are train. To divide them, run promise data split "
                f"{self.output} -o {self.output.with_name(self.output.stem + '_split.csv')}"
            )
        return lines

    def _groups(self) -> list[str]:
        return [pair.group for pair in self.pairing.pairs if pair.group]


@checks_arguments("folder", "output", "images", "masks", "group", "every", "force", "progress")
def make_manifest(
    folder: str | Path,
    output: str | Path,
    *,
    images: str | None = None,
    masks: str | None = None,
    several: Several | str = Several.AUTO,
    group: str | None = None,
    every: int = 1,
    force: bool = False,
    progress: Progress = silent,
) -> Made:
    r"""Pair the images and masks of a folder by name, and write a manifest.

    Args:
        folder: folder with images and masks in one of the common layouts, or as given by the patterns.
        output: the manifest to write; merged masks are written to a folder next to it.
        images: pattern of image paths below the folder, such as ``photos/*.jpg`` or ``{case}/ct.nii.gz``; ``*`` and
            ``{word}`` must match the same text in the path of the mask.
        masks: pattern of mask paths; a wildcard more than in ``images`` separates several masks of one image.
        several: result of merging several masks of one image: ``mask``, ``instances`` or ``classes``; ``auto`` makes
            classes of masks named after classes, and a single mask of numbered masks.
        group: regular expression with one group, such as ``^(patient\d+)_``, searched in the stem of each image or
            otherwise in its path; images with the same match are never divided between splits.
        every: N to use only every Nth frame of videos.
        force: whether an existing manifest is overwritten; not needed if its content would stay the same.
        progress: called for each pair whose masks are merged.

    Raises:
        SettingsError: if options are invalid or contradict each other.
        ImageError: if the folder cannot be listed.
        ManifestError: if nothing can be paired.
        PromiseError: if an output exists already, or cannot be written.
    """
    if (images is None) != (masks is None):
        raise SettingsError("--images and --masks: give both of them, or neither")
    if every < 1:
        raise SettingsError(f"--every {every}: expected at least 1")
    kind = chosen(Several, several, "--several")
    folder, output = Path(folder), Path(output)
    pattern = group_pattern(group) if group is not None else None
    pairing = pair_folder(folder) if images is None or masks is None else pair_by_patterns(folder, images, masks)
    by = ""
    if pattern:
        groups = groups_of(pairing.pairs, pattern, folder)
        pairing.pairs = [replace(pair, group=name) for pair, name in zip(pairing.pairs, groups, strict=True)]
    else:
        grouping = with_groups(pairing.pairs, folder)
        pairing.pairs, by = grouping.pairs, grouping.by
    merging = None
    if any(pair.objects for pair in pairing.pairs):
        into, writing = _masks_folder(output), force or not output.exists()
        merging = merge_objects(pairing.pairs, folder, into, progress, kind, writing=writing)
        pairing.pairs = merging.pairs
    outcome = write_new([pairs_table(pairing.pairs, output, every)], force=force)[output]
    pairing.texts = [path for path in pairing.texts if path.resolve() != output.resolve()]  # of an earlier call
    advice = None if merging else masks_advice(pairing.pairs)
    return Made(output, pairing, merging, by, outcome, advice)


def _masks_folder(output: Path) -> Path:
    return output.with_name(output.stem + MERGED)


def _merged(merging: Merging, into: Path) -> str:
    """Return a line on how several masks of an image were merged."""
    maps, kept = merging.made + merging.kept, f"({merging.kept} of them were there already) in {into}"
    if merging.how == Several.INSTANCES:
        return (
            f"merged: {merging.objects} masks of single objects into {maps} instance maps {kept}. Read this manifest "
            "with --instances"
        )
    if merging.how == Several.CLASSES:
        classes = ", ".join(f"{number} {name}" for number, name in enumerate(merging.classes, 1))
        return (
            f"merged: {merging.objects} masks of classes into {maps} label maps {kept}. Read this manifest with "
            f"--class. The classes are: {classes} (also in {into / 'classes.json'})"
        )
    return (
        f"merged: {merging.objects} masks into {maps} masks of one structure each {kept}. To tell the objects apart, "
        "pass --several instances"
    )
