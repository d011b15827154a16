"""The command ``promise data show``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from promise_seg.cli.common import print_line, rows_of_split, stages_bar
from promise_seg.cli.groups import with_groups
from promise_seg.cli.options import OUTPUT, DataArgument, SplitOption, choice, option, output_option
from promise_seg.cli.reading_options import READING
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import Recipe, SplitChoice

if TYPE_CHECKING:
    from promise_seg.images.reading import ReadingOptions


@with_groups(reading=READING.without("tile", "overlap"))
def show(
    data: DataArgument,
    output: Annotated[Path, output_option("PNG file to write.")],
    reading: "ReadingOptions",
    count: Annotated[
        int, option("--count", min=1, max=400, about="Number of images, or of views of one image.", panel=OUTPUT)
    ] = 16,
    split: SplitOption = SplitChoice.ALL,
    augmentation: Annotated[
        Recipe | None, choice(Recipe, about="Show views of one image by this recipe", panel=OUTPUT)
    ] = None,
    seed: Annotated[int, option("--seed", min=0, about="Seed of the choice of images.", panel=OUTPUT)] = 0,
) -> None:
    """Draw a contact sheet of images with the outlines of their masks, or of augmented views of one image."""
    from PIL import Image

    from promise_seg.curation.contact_sheets import draw_sheet
    from promise_seg.storage.files import check_file_writable, write_whole

    if output.suffix.lower() != ".png":
        raise SettingsError(f"-o {output}: expected a name that ends in .png")
    rows = rows_of_split(data, split)
    check_file_writable(output, [data, *(path for row in rows for path in (row.image, row.mask))])
    with stages_bar() as progress:
        sheet = draw_sheet(
            rows, reading.applied_to(), count=count, augmentation=augmentation, seed=seed, progress=progress
        )
    for line in sheet.notes:
        print_line(line)
    write_whole(output, lambda path: Image.fromarray(sheet.picture).save(path))
    print_line(f"written: {output}")
