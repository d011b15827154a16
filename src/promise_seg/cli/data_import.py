"""The command ``promise data import``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import print_line, print_lines, stages_bar
from promise_seg.cli.options import listed, no_address
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import AnnotationFormat, DrawnAs, OnTop

if TYPE_CHECKING:
    from promise_seg.curation.annotations.importing import Imported


def import_data(
    annotations: Annotated[list[Path], typer.Argument(help="Files of annotations, or folders of them.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", callback=no_address, help="The manifest to write; the masks are in a folder next to it."
        ),
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; by default that of the annotations.", metavar="FOLDER")
    ] = None,
    kind: Annotated[
        AnnotationFormat | None,
        typer.Option(
            "--format",
            metavar="WORD",
            help=f"The format, if it should not be recognised by its content: {listed(list(AnnotationFormat))}.",
        ),
    ] = None,
    classes: Annotated[bool, typer.Option("--classes", help="Write label maps; the default.")] = False,
    instances: Annotated[
        bool, typer.Option("--instances", help="Write instance maps, in which each object has a number.")
    ] = False,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Write a mask, and a manifest, for each class.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(help="Take only these classes, in this order: polyp,tool.", metavar="NAMES"),
    ] = None,
    on_top: Annotated[
        OnTop,
        typer.Option(help="Which of two overlapping shapes is on top: the later or the smaller one."),
    ] = OnTop.LATER,
    attribute: Annotated[
        str | None, typer.Option(help="The attribute of VIA's regions that is their class.", metavar="NAME")
    ] = None,
    colours: Annotated[
        str | None,
        typer.Option(
            help="Table of the colours of colour masks, such as labelmap.txt, or voc for those of Pascal VOC.",
            metavar="FILE",
        ),
    ] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="Give images without annotations empty masks instead of leaving them out.")
    ] = False,
    scale: Annotated[
        bool, typer.Option("--scale", help="Scale annotations that were made on a copy of the image at another size.")
    ] = False,
    group: Annotated[
        str | None, typer.Option(help="Regular expression with one group, as in promise data make.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing manifest and its masks.")] = False,
) -> None:
    """Convert annotations (COCO, LabelMe, CVAT, YOLO, RTSTRUCT ...) to masks, and write a manifest."""
    from promise_seg.curation.annotations.importing import import_annotations

    given = [drawn for drawn, wanted in zip(DrawnAs, (classes, instances, per_class), strict=True) if wanted]
    if len(given) > 1:
        raise SettingsError(f"{' and '.join(f'--{one}' for one in given)}: give one of them")
    with stages_bar() as progress:
        imported = import_annotations(
            annotations, output, images=images, kind=kind, masks=given[0] if given else DrawnAs.CLASSES,
            only=[name.strip() for name in (only or "").split(",") if name.strip()], on_top=on_top,
            attribute=attribute, colours=colours, empty=empty, scale=scale, group=group, force=force,
            progress=progress,
        )  # fmt: skip
    _print_outcome(imported)


def _print_outcome(imported: "Imported") -> None:
    from promise_seg.curation.pairing.groups import no_groups_note

    print(f"images: {len(imported.pairs)}, with masks in {imported.folder}")
    counts = ", ".join(f"{number} {name} ({imported.counts[name]})" for name, number in imported.classes.items())
    print(f"classes, with the number of shapes in the annotations: {counts}")
    if named := [pair.group for pair in imported.pairs if pair.group]:
        by = f" ({imported.grouped_by})" if imported.grouped_by else ""
        print(f"groups: {len(set(named))}, for example {named[0]}{by}")
    for path in imported.manifests:
        print(f"written: {path}")
    print_lines(imported.remarks, "warning")
    if not named and len(imported.pairs) > 1:
        print_line(no_groups_note(imported.pairs))
    if imported.drawn_as == DrawnAs.INSTANCES:
        several = " Its objects are of several classes, which an instance map does not hold; see --only." if len(
            [name for name in imported.classes if imported.counts[name]]
        ) > 1 else ""  # fmt: skip
        print_line(f"read this manifest with --instances.{several}")
    elif imported.drawn_as == DrawnAs.CLASSES and len(imported.classes) > 1:
        print_line(f"read this manifest with --class; the numbers are also in {imported.folder / 'classes.json'}")
    if not any(pair.split for pair in imported.pairs):
        for path in imported.manifests:
            print_line(
                "the folders do not define splits, so all rows are train. To divide them, run promise data split "
                f"{path} -o {path.with_name(path.stem + '_split.csv')}"
            )
