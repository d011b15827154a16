"""The command ``promise export``."""

from pathlib import Path
from typing import Annotated

from promise_seg.cli.common import print_line, quiet_libraries, stages_bar
from promise_seg.cli.options import OUTPUT, BareSizeOption, ModelArgument, SamPlaceOption, option, output_option


def export(
    model: ModelArgument,
    output: Annotated[Path, output_option("Folder of the ONNX files; an earlier export there is replaced.")],
    sam: SamPlaceOption = None,
    image_size: BareSizeOption = None,
    opset: Annotated[
        int, option("--opset", metavar="VERSION", about="Version of ONNX's operators, 17 to 20.", panel=OUTPUT)
    ] = 17,
) -> None:
    """Export a model to ONNX, with a Python program that runs the files without PyTorch."""
    quiet_libraries()
    from promise_seg.workflows import exporting

    with stages_bar() as progress:
        found = exporting.export(model, output, sam=sam, image_size=image_size, opset=opset, progress=progress)
    for one in found:
        for file in one.agreement:
            print_line(f"{one.folder / file.file}: at most {file.difference:.1e} from PyTorch on {file.cases} inputs")
        print_line(f"written: {one.folder}")
