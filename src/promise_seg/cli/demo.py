"""The command ``promise demo``."""

from pathlib import Path
from typing import Annotated

from promise_seg.cli.common import print_line, print_table, quiet_libraries, read_data, stages_bar
from promise_seg.cli.options import DATA, TRAINING, DeviceOption, SamOption, ThresholdOption, option, output_option


def demo(
    output: Annotated[Path, output_option("Folder for everything the demo makes.")] = Path("demo"),
    data: Annotated[
        Path | None,
        option("--data", metavar="CSV", about="Your own CSV, with test rows; default: drawn scenes.", panel=DATA),
    ] = None,
    sam: SamOption = "nano",
    epochs: Annotated[int, option("--epochs", min=1, about="Passes over the train rows.", panel=TRAINING)] = 4,
    views: Annotated[int, option("--views", min=1, about="Views of each image.", panel=TRAINING)] = 4,
    seed: Annotated[int, option("--seed", min=0, about="Seed of weights and draws.", panel=TRAINING)] = 0,
    device: DeviceOption = "auto",
    mask_threshold: ThresholdOption = None,
) -> None:
    """Train the variants apm, ips and apm+ips on drawn scenes or on your own data, print a table of their scores, and
    write a page with example images."""
    from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
    from promise_seg.demo.dataset import draw_dataset
    from promise_seg.images.reading import ReadingOptions

    with stages_bar() as progress:
        manifest = draw_dataset(output / "data", progress) if data is None else data
    rows = read_data(manifest, ReadingOptions(mask_threshold=mask_threshold), val_share=DEFAULT_VAL_SHARE, seed=seed)
    quiet_libraries()
    from promise_seg.demo.run import run_demo

    source = "drawn endoscopy scenes" if data is None else str(data)
    with stages_bar() as progress:
        result = run_demo(
            output, rows, source=source, sam=sam, epochs=epochs, views=views, seed=seed, device=device,
            progress=progress, note=print_line,
        )  # fmt: skip
    head, *body = result.table
    print_table(head, body, result.title)
    print_line(f"page: {result.page}")
