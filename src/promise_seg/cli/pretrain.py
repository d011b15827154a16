"""``promise pretrain``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import DeviceOption, bar_of_stages, console, pick_device, progress_bars, quiet_libraries


def pretrain(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for weights, state and log.")],
    steps: Annotated[int, typer.Option(min=1)] = 3800,
    batch_size: Annotated[int, typer.Option(min=1)] = 24,
    learning_rate: Annotated[float, typer.Option()] = 2e-3,
    scenes: Annotated[int, typer.Option(min=1, help="How many scenes are drawn ahead, 64 KiB each.")] = 40_000,
    scene_folder: Annotated[
        Path | None, typer.Option(help="Where they are kept; default a folder in the output.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw.")] = 2,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Compute in bfloat16: faster where the processor has it.")
    ] = False,
    evaluate_scenes: Annotated[int, typer.Option(min=1, help="Unseen scenes to report Dice on at the end.")] = 500,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: DeviceOption = "auto",
) -> None:
    """Train the nano SAM from scratch on drawn scenes. The same command goes on where a stopped one was."""
    place = pick_device(device)
    quiet_libraries()
    import json

    from promise_seg.files import write_json
    from promise_seg.learning.pretraining import WEIGHTS_FILE, Pretrainer, PretrainSettings
    from promise_seg.learning.pretraining import pretrain as run
    from promise_seg.learning.scene_scores import score_on_scenes
    from promise_seg.sam.loading import load_sam
    from promise_seg.sam.nano import IMAGE_SIZE
    from promise_seg.scenes.library import SceneLibrary

    settings = PretrainSettings(
        steps=steps, batch_size=batch_size, learning_rate=learning_rate, scenes=scenes, seed=seed, bf16=bf16
    )
    folder = scene_folder or output / "scenes"
    library = SceneLibrary(folder, scenes, seed=2 * seed, size=IMAGE_SIZE)
    unseen = SceneLibrary(folder, evaluate_scenes, seed=2 * seed + 1, size=IMAGE_SIZE)
    with progress_bars() as progress:
        drawing = progress.add_task("drawing", total=scenes + evaluate_scenes, note="")
        library.draw(workers, lambda done: progress.advance(drawing, done))
        unseen.draw(workers, lambda done: progress.advance(drawing, done))
        trainer = Pretrainer(output, settings, library, place)
        run(trainer, progress=bar_of_stages(progress))
        weights = output / WEIGHTS_FILE
        scores = score_on_scenes(load_sam(str(weights), place), unseen)
    write_json(output / "scene_scores.json", scores)
    console.print(f"Dice on {len(unseen)} unseen scenes: {json.dumps(scores)}")
    console.print(f"weights: {weights}; use them with --sam {weights}")
