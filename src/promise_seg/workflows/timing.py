"""Measure how long a SAM takes on this machine to encode, to answer a click, and to train."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from promise_seg.arguments import checks_arguments
from promise_seg.dataset.checks import CheckedRow, check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.environment import Environment, collect_environment
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.inference.encoding import encode_missing
from promise_seg.inference.planning import memory_bytes
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.training import TrainingRun
from promise_seg.prediction.encoded_image import EncodedImage
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from promise_seg.progress import Progress, Stage, silent
from promise_seg.quantities import count_in_words
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import NANO, load_sam
from promise_seg.sam.prompts import Prompts
from promise_seg.scenes import draw_scene
from promise_seg.storage.files import check_file_writable, write_json
from promise_seg.vocabulary import Protocol
from promise_seg.workflows.devices import make_accelerator
from promise_seg.workflows.encoding import encoding_in
from promise_seg.workflows.training_settings import settings_for

_SIDE = 320
_STREAM = 78  # a random stream of its own, so that no scene is among those that the nano SAM was trained on
_EPOCHS = 2
ENCODE, PREDICT = "encode and store an image", "predict an image and write its files"
"""The kinds of work that larger work is planned from."""


@dataclass(frozen=True)
class Timing:
    """The times that one kind of work took.

    Args:
        work: the kind of work.
        seconds: the time of each repetition, without a first one as warm-up.
    """

    work: str
    seconds: tuple[float, ...]

    def at(self, percent: float) -> float:
        """Return a percentile of the times, in seconds."""
        return float(np.percentile(self.seconds, percent))

    def record(self) -> dict[str, Any]:
        """Return the entry for JSON."""
        return {"work": self.work, "times": len(self.seconds), "p50_seconds": self.at(50), "p95_seconds": self.at(95)}


@dataclass(frozen=True)
class SpeedReport:
    """The results of :func:`bench`.

    Args:
        sam: what the user called the SAM.
        image_size: side of its input, in pixels.
        variant: the variant of the model that was trained around it.
        batch_size: the number of images in a training step.
        images: the number of images in an epoch.
        environment: versions, processor, memory and device.
        threads: the number of threads that PyTorch uses on a CPU.
        timings: the timings, in the order in which they were measured.
        feature_bytes: disk space of the stored features of an image.
        output_bytes: disk space of the mask and the overlay of a drawn image and its share of the table; 0 without an
            auto-prompter.
        memory_bytes: peak memory of this process, or of the GPU; ``None`` if the system does not report it.
        worker_memory_bytes: the same before anything was trained, which is what encoding and predicting need.
        files: the files that were written.
    """

    sam: str
    image_size: int
    variant: str
    batch_size: int
    images: int
    environment: Environment
    threads: int
    timings: tuple[Timing, ...]
    feature_bytes: int
    output_bytes: int
    memory_bytes: int | None
    worker_memory_bytes: int | None
    files: tuple[Path, ...] = ()

    @property
    def hardware(self) -> str:
        """A description of the machine."""
        where = self.environment
        memory = "" if where.memory_bytes is None else f", {where.memory_bytes / 2**30:.0f} GB of memory"
        cores, threads = count_in_words(where.cores, "core"), count_in_words(self.threads, "thread")
        return f"{where.device}; {where.processor}, {cores}, {threads}{memory}"

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each kind of work: its name, the number of repetitions, median and 95th percentile."""
        return [timing.record() for timing in self.timings]

    def facts(self) -> dict[str, Any]:
        """Return the content of the JSON file."""
        names = (
            "sam", "image_size", "variant", "batch_size", "images", "threads", "feature_bytes", "output_bytes",
            "memory_bytes", "worker_memory_bytes",
        )  # fmt: skip
        own = {name: getattr(self, name) for name in names}
        return {**own, "environment": self.environment.model_dump(mode="json"), "timings": self.records()}


@checks_arguments("image_size", "images", "batch_size", "clicks", "output", "progress")
def bench(
    sam: str | Backbone = NANO,
    *,
    image_size: int | None = None,
    variant: str | None = None,
    apm: str | None = None,
    images: int = 8,
    batch_size: int = 4,
    clicks: int = 30,
    precision: str = "no",
    encoder_precision: str | None = None,
    device: str | torch.device = "auto",
    output: str | Path | None = None,
    progress: Progress = silent,
) -> SpeedReport:
    """Measure the cost of a SAM on this machine, on drawn images.

    Only ``output`` is kept: images, features and the model are in a temporary folder. Other programs that run at the
    same time make all timings slower.

    Args:
        sam: the SAM, as ``promise train --sam`` takes it, or one that is already loaded.
        image_size: side of its input, in pixels; by default the one that it was trained at.
        variant: the variant of the model that is trained: ``apm``, ``ips`` or, by default, ``apm+ips``.
        apm: its kind of APM; by default that of training.
        images: the number of images that are encoded and trained on, at least 2.
        batch_size: the number of images in a training step.
        clicks: the number of clicks that are answered.
        precision: the precision of training: ``no``, ``bf16`` or ``fp16``.
        encoder_precision: the precision of SAM's encoder: ``fp32``, ``bf16``, ``fp16`` (on GPUs) or ``int8`` (on CPUs).
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        output: a JSON file for the results.
        progress: called for each image, click and epoch.

    Raises:
        SettingsError: if an option is invalid.
        CheckpointError: if there is no such SAM.
    """
    _check_counts(images, batch_size, clicks)
    if output is not None:
        check_file_writable(output)
    given = {"variant": variant, "apm": apm, "batch_size": batch_size, "precision": precision, "views": 1}
    settings = settings_for(Protocol.OWN, None, given)
    accelerator = make_accelerator(device, settings.precision)
    loaded = sam if isinstance(sam, Backbone) else load_sam(sam, accelerator.device, image_size)
    loaded = encoding_in(loaded, encoder_precision)
    with tempfile.TemporaryDirectory(prefix="promise-bench-") as name:
        folder = Path(name)
        rows, store = check_rows(read_manifest(_draw(folder, images))), FeatureStore(folder / "store")
        run = TrainingRun(folder / "run", rows, loaded, store, settings, accelerator)
        encoding, encoded = _encoding(run, progress)
        answering = _answering(Predictor(run.model), rows[0], clicks, progress)
        predicting = _predicting(run, folder, progress)
        memory_of_worker = memory_bytes(accelerator.device)
        training = _training(run, settings, images, progress)
        feature_bytes = _bytes_in(folder / "store") // encoded
        output_bytes = _bytes_in(folder / "out") // (images + 1)
    found = SpeedReport(
        sam=loaded.name, image_size=loaded.image_size, variant=str(settings.variant), batch_size=batch_size,
        images=images, environment=collect_environment(accelerator.device), threads=torch.get_num_threads(),
        timings=(encoding, *answering, *training, *predicting), feature_bytes=feature_bytes,
        output_bytes=output_bytes, memory_bytes=memory_bytes(accelerator.device),
        worker_memory_bytes=memory_of_worker, files=() if output is None else (Path(output),),
    )  # fmt: skip
    if output is not None:
        write_json(output, found.facts())
    return found


def _check_counts(images: int, batch_size: int, clicks: int) -> None:
    for name, value, least in (("--images", images, 2), ("--batch-size", batch_size, 1), ("--clicks", clicks, 1)):
        if value < least:
            raise SettingsError(f"{name} {value}: expected at least {least}")


def _draw(folder: Path, images: int) -> Path:
    """Draw images with a mask each, and one more to validate on; return the path of their manifest."""
    lines = ["image_name,train_type,mask_name"]
    for number in range(images + 1):
        scene = draw_scene([_STREAM, number], _SIDE, kind="mucosa")
        mask = np.where(scene.instances > 0, 255, 0).astype(np.uint8)
        mask[:8, :8] = 255  # so that scenes without an object have foreground too
        Image.fromarray(scene.image).save(folder / f"{number}.png")
        Image.fromarray(mask).save(folder / f"{number}m.png")
        lines.append(f"{number}.png,{'val' if number == images else 'train'},{number}m.png")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "manifest.csv"


def _encoding(run: TrainingRun, progress: Progress) -> tuple[Timing, int]:
    """Fill the store, time each batch of images after the first one, and return the number of encoded views too.

    Images that the encoder takes as a batch get an equal share of its time. If there are fewer than two batches,
    further views of the images are encoded.
    """
    at_once, train = run.sam.images_at_once, len(run.training_set)
    views = max(1, -(-2 * at_once // train))
    samples = run.samples + run.training_set.samples(views)[train:]
    ends: list[float] = []

    def watched(stage: str, done: int, total: int, note: str = "") -> None:
        if done:
            ends.append(time.perf_counter())
        progress(stage, done, total, note)

    encode_missing(samples, run.model.sam, run.store, watched, run.model.stages_read)
    batches = [ends[start : start + at_once] for start in range(0, len(ends) - at_once + 1, at_once)]
    seconds = [(batch[-1] - before[-1]) / len(batch) for before, batch in pairwise(batches) for _ in batch]
    return Timing(ENCODE, tuple(seconds)), len(samples)


def _answering(predictor: Predictor, row: CheckedRow, clicks: int, progress: Progress) -> tuple[Timing, Timing]:
    """Time the decoding of clicks on one embedding, and as many answers to clicks in a session, in the image frame."""
    encoded = predictor.encode(row.image())
    rng = np.random.default_rng(0)
    places = rng.uniform(0.1, 0.9, (clicks + 1, 2))
    count = Stage(progress, "clicking", 2 * (clicks + 1))

    def each(click: Callable[[EncodedImage, float, float], object]) -> tuple[float, ...]:
        seconds = []
        for x, y in places:
            seconds.append(_seconds(partial(click, encoded, x, y)))
            count()
        return tuple(seconds[1:])

    sam = predictor.model.sam

    @torch.inference_mode()
    def decode(image: EncodedImage, x: float, y: float) -> None:
        point = torch.tensor([[[[x, y]]]], device=sam.device) * sam.image_size
        prompts = Prompts(points_xy_model=point, point_labels=torch.ones(1, 1, 1, dtype=torch.long, device=sam.device))
        sam.decode(image.features, prompts).mask_logits.cpu()

    def answer(image: EncodedImage, x: float, y: float) -> None:
        session = predictor.session(image)
        started = time.perf_counter()
        session.add_point(round(x * (row.width - 1)), round(y * (row.height - 1)))
        answered.append(time.perf_counter() - started)

    answered: list[float] = []
    decoded = Timing("decode a click on a stored embedding", each(decode))
    each(answer)
    return decoded, Timing("answer a click in a session", tuple(answered[1:]))


def _training(run: TrainingRun, settings: TrainSettings, images: int, progress: Progress) -> tuple[Timing, Timing]:
    """Time epochs on stored features, after a first one as warm-up."""
    steps = -(-images // settings.batch_size)
    count = Stage(progress, "training", _EPOCHS + 1)
    epochs = []
    for _ in range(_EPOCHS + 1):
        epochs.append(_seconds(run.train_epoch))
        count()
    batch = count_in_words(settings.batch_size, "image")
    step = Timing(f"training step of {batch}", tuple(epoch / steps for epoch in epochs[1:]))
    return step, Timing(f"epoch of {images} images", tuple(epochs[1:]))


def _predicting(run: TrainingRun, folder: Path, progress: Progress) -> tuple[Timing, ...]:
    """Time the prediction of the images into a folder, after a first one, if the model has an auto-prompter."""
    if run.model.apm is None:
        return ()
    ends: list[float] = []

    def watched(stage: str, done: int, total: int, note: str = "") -> None:
        ends.append(time.perf_counter())
        progress(stage, done, total, note)

    inputs = find_inputs([path for path in sorted(folder.glob("*.png")) if not path.stem.endswith("m")])
    predict_folder(Labeller({1: Predictor(run.model)}), inputs, folder / "out", progress=watched)
    return (Timing(PREDICT, tuple(after - before for before, after in pairwise(ends))),)


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
