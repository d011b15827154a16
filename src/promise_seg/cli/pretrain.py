"""The command ``promise pretrain``."""

from pathlib import Path
from typing import Annotated

from promise_seg.cli.common import print_line, quiet_libraries, stages_bar
from promise_seg.cli.options import COMPUTING, DATA, OUTPUT, TRAINING, DeviceOption, option, output_option


def pretrain(
    output: Annotated[Path, output_option("Folder for weights, state and log.")],
    steps: Annotated[int, option("--steps", min=1, about="Batches.", panel=TRAINING)] = 3800,
    batch_size: Annotated[int, option("--batch-size", min=1, about="Scenes in a step.", panel=TRAINING)] = 24,
    learning_rate: Annotated[
        float, option("--learning-rate", about="The highest learning rate.", panel=TRAINING)
    ] = 2e-3,
    scenes: Annotated[
        int, option("--scenes", min=1, about="Number of scenes to draw in advance, 64 KiB each.", panel=DATA)
    ] = 40_000,
    scene_folder: Annotated[
        Path | None,
        option(
            "--scene-folder",
            metavar="FOLDER",
            about="Folder of these scenes; by default in the output folder.",
            panel=DATA,
        ),
    ] = None,
    workers: Annotated[int, option("--workers", min=1, about="Processes that draw.", panel=COMPUTING)] = 2,
    bf16: Annotated[
        bool, option("--bf16", about="Compute in bfloat16: faster where the processor has it.", panel=COMPUTING)
    ] = False,
    evaluate_scenes: Annotated[
        int, option("--evaluate-scenes", min=1, about="Unseen scenes to report Dice on at the end.", panel=OUTPUT)
    ] = 500,
    seed: Annotated[int, option("--seed", min=0, about="Seed of scenes, weights and draws.", panel=TRAINING)] = 0,
    device: DeviceOption = "auto",
) -> None:
    """Train the nano SAM from scratch on drawn scenes. The same command resumes an interrupted training."""
    quiet_libraries()
    import json

    from promise_seg.learning.pretraining import PretrainSettings
    from promise_seg.workflows.pretraining import pretrain as run

    settings = PretrainSettings(
        steps=steps, batch_size=batch_size, learning_rate=learning_rate, scenes=scenes, seed=seed, bf16=bf16
    )
    with stages_bar() as progress:
        found = run(
            output, settings, scene_folder=scene_folder, unseen_scenes=evaluate_scenes, workers=workers, device=device,
            progress=progress,
        )  # fmt: skip
    print_line(f"Dice on {evaluate_scenes} unseen scenes: {json.dumps(found.scores)}")
    print_line(f"weights: {found.weights}; use them with --sam {found.weights}")
