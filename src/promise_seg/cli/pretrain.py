"""``promise pretrain``"""

from pathlib import Path
from typing import Annotated

from promise_seg.cli.common import bar_of_stages, console, progress_bars, quiet_libraries
from promise_seg.cli.options import COMPUTING, DATA, OUTPUT, TRAINING, DeviceOption, option, output_option


def pretrain(
    output: Annotated[Path, output_option("Folder for weights, state and log.")],
    steps: Annotated[int, option("--steps", min=1, about="Batches.", panel=TRAINING)] = 3800,
    batch_size: Annotated[int, option("--batch-size", min=1, about="Scenes in a step.", panel=TRAINING)] = 24,
    learning_rate: Annotated[
        float, option("--learning-rate", about="The highest learning rate.", panel=TRAINING)
    ] = 2e-3,
    scenes: Annotated[
        int, option("--scenes", min=1, about="How many scenes are drawn ahead, 64 KiB each.", panel=DATA)
    ] = 40_000,
    scene_folder: Annotated[
        Path | None,
        option(
            "--scene-folder", metavar="FOLDER", about="Where they are kept; default a folder in the output.", panel=DATA
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
    """Train the nano SAM from scratch on drawn scenes. The same command resumes after an interruption."""
    quiet_libraries()
    import json

    from promise_seg.workflows.devices import pick_device

    place = pick_device(device)
    from promise_seg.files import write_json
    from promise_seg.learning.pretraining import WEIGHTS_FILE, Pretrainer, PretrainSettings
    from promise_seg.learning.pretraining import pretrain as run
    from promise_seg.learning.scene_scores import score_on_scenes
    from promise_seg.locks import alone_in
    from promise_seg.sam.loading import load_sam
    from promise_seg.sam.nano import IMAGE_SIZE
    from promise_seg.scenes.library import SceneLibrary

    settings = PretrainSettings(
        steps=steps, batch_size=batch_size, learning_rate=learning_rate, scenes=scenes, seed=seed, bf16=bf16
    )
    folder = scene_folder or output / "scenes"
    library = SceneLibrary(folder, scenes, seed=2 * seed, size=IMAGE_SIZE)
    unseen = SceneLibrary(folder, evaluate_scenes, seed=2 * seed + 1, size=IMAGE_SIZE)
    with alone_in(output, "training"), progress_bars() as progress:
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
