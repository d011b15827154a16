"""Say what encoding the images of a training will take, before it is begun; or do it, in one process or in several."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import torch

from promise_seg._version import __version__
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.fleet.ray_cluster import RayOptions
from promise_seg.inference.encoding import Sample
from promise_seg.inference.planning import EncodingPlan, plan_encoding
from promise_seg.inference.sharing import Encoded, PartsNote, encode_shared
from promise_seg.learning.training_set import TrainingSet
from promise_seg.object_stores import is_address
from promise_seg.parts import Part
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import NANO
from promise_seg.vocabulary import Protocol
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.devices import pick_device
from promise_seg.workflows.encoding import encoding_in
from promise_seg.workflows.evaluation import as_store
from promise_seg.workflows.noting import Note, no_note
from promise_seg.workflows.ray_encoding import EncodeJob, encode_on_ray
from promise_seg.workflows.ray_places import ray_options
from promise_seg.workflows.sizing import Sizing
from promise_seg.workflows.tiling import tiles_to_learn
from promise_seg.workflows.training import settings_for, usual_reading


def plan_features(
    data: Dataset | str | Path,
    *,
    sam: Backbone | str = NANO,
    image_size: int | None = None,
    protocol: str = Protocol.OWN,
    val_share: float = DEFAULT_VAL_SHARE,
    device: str = "auto",
    encoder_precision: str | None = None,
    store: str | Path | FeatureStore | None = None,
    progress: Progress = silent,
    note: Note = no_note,
    **given: Any,
) -> EncodingPlan:
    """Measure on a few images what a training with these settings will encode; these images are stored.

    Args:
        data: a data set or its manifest.
        sam, image_size, protocol, val_share, device, encoder_precision: as of :func:`promise_seg.train`.
        store: the feature store, or its folder; by default the user's.
        progress: told of each image.
        note: told what a user should know, a line each.
        given: other settings of a training: ``variant``, ``apm``, ``fit``, ``views``, ``augmentation``, ``seed``.

    Raises:
        SettingsError: if an option cannot be meant.
        ManifestError: if rows or their files cannot be used.
        PromiseError: if the disk of the store is full.
    """
    needed = _needed(
        data, sam, image_size, protocol, val_share, device, encoder_precision, store, progress, note, given
    )
    return plan_encoding(needed.samples, needed.sam, needed.store, needed.stages, progress)


def encode_features(
    data: Dataset | str | Path,
    *,
    sam: Backbone | str = NANO,
    image_size: int | None = None,
    protocol: str = Protocol.OWN,
    val_share: float = DEFAULT_VAL_SHARE,
    device: str = "auto",
    encoder_precision: str | None = None,
    store: str | Path | FeatureStore | None = None,
    part: str | None = None,
    ray: str | None = None,
    ray_cpus: int = 1,
    progress: Progress = silent,
    note: Note = no_note,
    **given: Any,
) -> Encoded:
    """Encode what a training with these settings will need and the store does not have yet.

    Several processes may do it at once, also the same part: each view is claimed by the process that encodes it.

    Args:
        data: a data set or its manifest.
        sam, image_size, protocol, val_share, device, encoder_precision: as of :func:`promise_seg.train`.
        store: the feature store, or its folder; by default the user's.
        part: ``K/N`` for the Kth of N parts, or ``slurm`` for the part of the task of a job array; by default all.
        ray: the Ray cluster that encodes: ``auto``, ``local`` or ``HOST:PORT``; see
            :func:`~promise_seg.workflows.predicting.predict_folder`.
        ray_cpus: how many CPUs each of its workers has.
        progress: told of each image.
        note: told what a user should know, a line each.
        given: other settings of a training: ``variant``, ``apm``, ``fit``, ``views``, ``augmentation``, ``seed``.

    Raises:
        SettingsError: if an option cannot be meant.
        ManifestError: if rows or their files cannot be used.
        PromiseError: if the disk is full, another data set, SAM or version is encoded under the same names, or the
            cluster cannot work.
    """
    its_part = None if part is None else Part.parse(part)
    asked = device
    cluster = None if ray is None else _cluster(ray, ray_cpus, part, sam, device)
    if cluster is not None and not torch.cuda.is_available():
        device = "cpu"  # of this process, which gives out the work
    needed = _needed(
        data, sam, image_size, protocol, val_share, device, encoder_precision, store, progress, note, given
    )
    if cluster is not None:
        place = needed.store.place if is_address(needed.store.place) else str(needed.store.folder.absolute())
        job = EncodeJob(
            needed.sam.name, needed.sam.image_size, encoder_precision, asked, place,
            needed.store.precision, needed.stages,
        )  # fmt: skip
        return encode_on_ray(job, needed.samples, needed.sam, needed.store, cluster, progress, note)
    if its_part is None:
        return encode_shared(needed.samples, needed.sam, needed.store, needed.stages, progress, note)
    return _encode_part(
        needed, its_part, (sam, image_size, str(protocol), val_share, encoder_precision), given, progress, note
    )


def _encode_part(
    needed: "_Needed", part: Part, words: tuple[Any, ...], given: dict[str, Any], progress: Progress, note: Note
) -> Encoded:
    """Encode one part of the views, if all parts are of the same; the first of the words names the SAM."""
    sam, *others = words
    manifest = "" if needed.data.path is None else os.fspath(Path(needed.data.path).resolve())
    called = sam if isinstance(sam, str) else sam.name
    if Path(called).exists():  # a folder or file of the user
        called = os.fspath(Path(called).resolve())
    said = [manifest, called, *others, sorted(given.items())]
    shared = PartsNote(needed.store.folder, said, part, manifest or "the data set")
    shared.begin(
        {"data_sha256": needed.data.sha256, "sam_sha256": needed.sam.sha256, "promise_seg": __version__,
         "precision": str(needed.store.precision), "encoder_precision": str(needed.sam.encoder_precision)}
    )  # fmt: skip
    mine = [one for one in needed.samples if part.has(one.key(needed.sam).digest())]
    note(f"{part.words}: {len(mine):,} of {len(needed.samples):,} views")
    found = encode_shared(mine, needed.sam, needed.store, needed.stages, progress, note)
    if not found.problems:
        shared.finish()
    return found


def _cluster(ray: str, cpus: int, part: str | None, sam: Backbone | str, device: str) -> RayOptions:
    """Return the cluster that a user means, unless other options do not go with it."""
    if part is not None:
        raise SettingsError(f"--part {part}: with --ray, the cluster divides the work. Leave one of them out")
    if not isinstance(sam, str):
        raise SettingsError("ray: a SAM that is loaded already is not sent to a cluster. Give its name or its place")
    return ray_options(ray, cpus, device)


class _Needed(NamedTuple):
    """The views that a training needs, what encodes them, and where they are stored."""

    data: Dataset
    samples: list[Sample]
    sam: Backbone
    store: FeatureStore
    stages: tuple[int, ...]


def _needed(
    data: Dataset | str | Path,
    sam: Backbone | str,
    image_size: int | None,
    protocol: str,
    val_share: float,
    device: str,
    encoder_precision: str | None,
    store: str | Path | FeatureStore | None,
    progress: Progress,
    note: Note,
    given: dict[str, Any],
) -> _Needed:
    """Return the views that a training with these settings encodes."""
    settings = settings_for(chosen(Protocol, protocol, "--protocol"), None, given)
    if not isinstance(data, Dataset):
        data = Dataset.from_csv(data, like=usual_reading(protocol, None), progress=progress)
    rows = data.with_validation(val_share, settings.seed)
    where = as_store(store)
    rows, sam = tiles_to_learn(rows, sam, pick_device(device), image_size, None, protocol, note)
    sizing = Sizing(rows.train, None, note)
    frozen = sam if isinstance(sam, Backbone) else sizing.load_sam(sam, pick_device(device), image_size, settings)
    frozen = encoding_in(frozen, encoder_precision)
    config = sizing.with_apm_side(settings).apm_config
    apm = None if config is None else config.completed().build(frozen.sizes)
    training_set = TrainingSet(rows.train, frozen, where, settings, apm)
    val = [Sample.of(row, frozen, settings.fit) for row in rows.val]
    samples = val + training_set.samples(settings.views)
    return _Needed(rows, samples, frozen, where, training_set.stages_read)
