"""Import annotations: convert files of any known format to masks and a manifest."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from promise_seg._version import __version__
from promise_seg.arguments import checks_arguments
from promise_seg.curation.annotations.classes import Classes, classes_of
from promise_seg.curation.annotations.drawing import Style, draw_all
from promise_seg.curation.annotations.image_files import ImageFiles
from promise_seg.curation.annotations.matching import MISSING, UNANNOTATED, line_about, match_images
from promise_seg.curation.annotations.recognising import Wishes, annotation_files, read_annotations
from promise_seg.curation.annotations.shapes import Document
from promise_seg.curation.annotations.writing import MaskFolder, distinct, folder_name, refuse_foreign_folder
from promise_seg.curation.pairing.groups import Grouping, group_pattern, groups_of, with_groups
from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.curation.pairing.writing import pairs_table
from promise_seg.dataset.manifest_writing import refuse_existing, refuse_others
from promise_seg.errors import ImageError, ManifestError, SettingsError
from promise_seg.images.own_folders import IMPORTED
from promise_seg.progress import Progress, counted, silent
from promise_seg.storage.files import Aside, refuse_inputs, replacing_folder, same_content
from promise_seg.vocabulary import AnnotationFormat, DrawnAs, OnTop
from promise_seg.workflows.choices import chosen


@dataclass
class Imported:
    """The result of an import.

    Args:
        manifests: the manifests that were written: one, or one per class.
        folder: folder of the masks.
        drawn_as: kind of masks.
        classes: names of the classes with their numbers, from 1.
        counts: number of shapes per class.
        pairs: pairs of images and masks in the first manifest.
        grouped_by: description of how images were grouped; empty if they were not, or by a pattern of the user.
        remarks: notes on everything that was left out, changed or assumed, one line each.
    """

    manifests: list[Path]
    folder: Path
    drawn_as: DrawnAs
    classes: dict[str, int]
    counts: Counter[str]
    pairs: list[ImagePair] = field(default_factory=list)
    grouped_by: str = ""
    remarks: list[str] = field(default_factory=list)


@checks_arguments(
    "annotations", "output", "images", "only", "attribute", "colours", "empty", "scale", "group", "force", "progress"
)
def import_annotations(
    annotations: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    images: str | Path | None = None,
    kind: AnnotationFormat | str | None = None,
    masks: DrawnAs | str = DrawnAs.CLASSES,
    only: Sequence[str] = (),
    on_top: OnTop | str = OnTop.LATER,
    attribute: str | None = None,
    colours: str | Path | None = None,
    empty: bool = False,
    scale: bool = False,
    group: str | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Imported:
    """Convert annotations into masks at the size of their images, and write a manifest.

    The masks are written to a folder next to the manifest and named after it, which is replaced as a whole.

    Args:
        annotations: annotation files, or folders that contain them.
        output: the manifest to write; with a mask for each class, one for each with the class behind its name.
        images: the folder of the images; by default that of the annotations.
        kind: the format; detected by default.
        masks: ``classes``, ``instances`` or ``per-class``.
        only: the classes to use, in the order of their numbers; all by default.
        on_top: which of two overlapping shapes is on top: the ``later`` or the ``smaller`` one.
        attribute: the attribute of VIA regions that holds their class.
        colours: the colour table of colour masks, or ``voc``.
        empty: whether images without annotations get empty masks, instead of being left out.
        scale: whether annotations of a copy of the image at another size are scaled.
        group: a regular expression with one group, see ``promise data make``.
        force: whether an existing manifest and its masks are overwritten; not needed if they would stay the same.
        progress: called for each file and image.

    Raises:
        ImageError: if annotations cannot be read.
        ManifestError: if no image is left.
        SettingsError: if an option is invalid.
        PromiseError: if an output exists already, or cannot be written.
    """
    output, given = Path(output), [annotations] if isinstance(annotations, str | Path) else list(annotations)
    drawn_as, order = chosen(DrawnAs, masks, "--masks"), chosen(OnTop, on_top, "--on-top")
    of_all = None if kind is None else chosen(AnnotationFormat, kind, "--format")
    pattern = group_pattern(group) if group is not None else None
    into, places = output.with_name(output.stem + IMPORTED), [Path(one) for one in given]
    refuse_foreign_folder(into)
    wishes = Wishes(
        _folder_of(places, images), attribute, None if colours is None else str(colours), drawn_as == DrawnAs.INSTANCES
    )
    documents, remarks = _read(places, wishes, of_all, progress)
    if attribute is not None and not any(one.has_attributes for one in documents):
        raise SettingsError(f"--attribute {attribute}: only regions of VIA have attributes, and no file is VIA's")
    classes = classes_of(documents, only)
    below = _folders_of_classes(classes, drawn_as)
    manifests = [output.with_name(f"{output.stem}_{name}{output.suffix}") for name in below.values()] or [output]
    read = [*places, *(path for one in documents for path in (one.path, *one.own_files))]
    for path in manifests:
        refuse_inputs(path, read if colours is None else [*read, str(colours)])
    files = ImageFiles(wishes.images, {path for one in documents for path in one.own_files})
    matches = match_images(documents, files, follow_paths=images is None)
    remarks += [*matches.remarks(empty=empty), *_remarks_on(documents, classes)]
    style, wanted = Style(drawn_as, order, scale, below), matches.matched + (matches.empty if empty else [])
    with Aside() as aside, replacing_folder(into) as temporary:
        folder = MaskFolder(into, temporary, wishes.images)
        drawing = draw_all(wanted if classes.numbers else [], folder, classes, style, progress)
        remarks += [*drawing.remarks(style), *folder.notes]
        if not any(drawing.pairs):
            raise ManifestError(_nothing_left(wishes.images, documents, remarks))
        grouping = _grouped(drawing.pairs[0], pattern, wishes.images)
        folder.finish(_facts(places, style), None if drawn_as == DrawnAs.INSTANCES else classes.numbers)
        groups = [pair.group for pair in grouping.pairs]
        tables = [
            pairs_table([replace(pair, group=name) for pair, name in zip(pairs, groups, strict=True)], path)
            for path, pairs in zip(manifests, drawing.pairs, strict=True)
        ]
        if not (force or same_content(temporary, into)):
            refuse_existing(manifests, force=force)
        refuse_others(tables, force=force)
        aside.take(manifests)  # so that no manifest ever exists with masks that it does not belong to
    for table in tables:
        table.write()
    return Imported(manifests, into, drawn_as, classes.numbers, classes.counts, grouping.pairs, grouping.by, remarks)


def _folders_of_classes(classes: Classes, drawn_as: DrawnAs) -> dict[str, str]:
    """Return the name of the folder of each class, if each class has separate masks."""
    names = list(classes.numbers) if drawn_as == DrawnAs.PER_CLASS else []
    return dict(zip(names, distinct([folder_name(name) for name in names]), strict=True))


def _folder_of(places: Sequence[Path], images: str | Path | None) -> Path:
    """Return the folder of the images: the given folder, or the common folder of all annotations."""
    if images is not None:
        if not Path(images).is_dir():
            raise SettingsError(f"--images {images}: no such folder; expected the folder of the images")
        return Path(images)
    folders = [str((path if path.is_dir() else path.parent).absolute()) for path in places]
    common = Path(os.path.commonpath(folders))
    return next((path for path in (p if p.is_dir() else p.parent for p in places) if path.absolute() == common), common)


def _read(
    places: Sequence[Path], wishes: Wishes, kind: AnnotationFormat | None, progress: Progress
) -> tuple[list[Document], list[str]]:
    """Read all annotations; files given by name must be readable, invalid files in a folder are noted and left out."""
    documents, faults = list[Document](), list[str]()
    files = [(file, place) for place in places for file in annotation_files(place, kind, wishes.colours)]
    for file, place in counted(files, progress, "reading annotations"):
        try:
            found = _read_one(file, wishes, kind)
        except ImageError as error:
            if file == place or len(files) == 1:
                raise
            faults.append(str(error))
            documents.append(Document(file, unread={file.stem}))
            continue
        if found is not None:
            documents.append(found)
        elif file == place:
            raise ImageError(f"{file}: a DICOM file, but not a structure set (RTSTRUCT)")
    if len(documents) == len(faults):
        raise ManifestError(f"{places[0]}: {line_about('file(s), none of which could be read', faults)}")
    words = "file(s) left out, which cannot be read as annotations"
    return documents, [line_about(words, faults)] if faults else []


def _read_one(file: Path, wishes: Wishes, kind: AnnotationFormat | None) -> Document | None:
    try:
        return read_annotations(file, wishes, kind)
    except RecursionError:
        raise ImageError(f"{file}: is nested too deeply to be annotations that can be read") from None


def _grouped(pairs: list[ImagePair], pattern: re.Pattern[str] | None, folder: Path) -> Grouping:
    outside = [str(pair.image.absolute().parent) for pair in pairs if not pair.image.is_relative_to(folder)]
    if outside:  # LabelMe files may name images anywhere
        folder = Path(os.path.commonpath([*outside, str(folder.absolute())]))
        pairs = [replace(pair, image=pair.image.absolute()) for pair in pairs]
    if pattern is None:
        return with_groups(pairs, folder)
    groups = groups_of(pairs, pattern, folder)
    return Grouping([replace(pair, group=name) for pair, name in zip(pairs, groups, strict=True)])


def _remarks_on(documents: Sequence[Document], classes: Classes) -> list[str]:
    unused = sum((one.unused for one in documents), Counter[str]())
    broken = [line for one in documents for line in one.broken]
    lines = [note for one in documents for note in one.notes]
    if total := unused.total():
        kinds = ", ".join(f"{kind} {count}" for kind, count in unused.most_common())
        lines.append(f"{total} shape(s) left out, because they have no area: {kinds}")
    if broken:
        lines.append(line_about("invalid shape(s) or image(s) left out", broken))
    if classes.unlabelled:
        lines.append(f"{classes.unlabelled} shape(s) left out, because they have no class")
    if classes.unwanted:
        lines.append(f"{classes.unwanted} shape(s) left out, because their classes are not in --only")
    lines += [f"{' and '.join(own)} were taken as one class" for own in classes.spellings]
    return lines


def _nothing_left(folder: Path, documents: Sequence[Document], remarks: Sequence[str]) -> str:
    """Return why no mask was made, with a line for each reason; images without annotations are the last reason."""
    count = sum(len(one.images) for one in documents)
    lines = sorted(remarks, key=lambda line: UNANNOTATED in line) or ["there are no shapes"]
    way_out = ". If the images are elsewhere, say where (--images FOLDER)"
    lines = [f"{line}{way_out}" if MISSING in line else line for line in lines]
    what = f"{folder}: no masks could be made for {count} annotated image(s):"
    return f"{what} {lines[0]}" if len(lines) == 1 else "\n".join([what, *lines])


def _facts(places: Sequence[Path], style: Style) -> dict[str, object]:
    return {
        "by": f"promise-seg {__version__}",
        "from": [path.name for path in places],
        "masks": str(style.drawn_as),
        "on_top": str(style.on_top),
    }
