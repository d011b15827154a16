"""Estimate the cost of encoding the images of a training before it begins, or encode them in one or more processes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from promise_seg._version import __version__
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.manifest import scan_manifest
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.fleet.ray_cluster import RayOptions
from promise_seg.inference.encoding import Sample
from promise_seg.inference.planning import EncodingPlan, plan_encoding
from promise_seg.inference.sharing import EncodingOutcome, PartsNote, encode_shared
from promise_seg.learning.training_set import TrainingSet
from promise_seg.parallel.parts import Part
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import NANO
from promise_seg.storage.object_stores import is_address
from promise_seg.vocabulary import Protocol, StorePrecision
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.devices import pick_device
from promise_seg.workflows.encoding import encoding_in, parse_encoder_precision
from promise_seg.workflows.evaluation import as_store
from promise_seg.workflows.noting import Note, no_note
from promise_seg.workflows.ray_encoding import EncodeJob, encode_on_ray
from promise_seg.workflows.ray_places import check_no_ray_cpus, ray_options
from promise_seg.workflows.sizing import Sizing, first_sam
from promise_seg.workflows.tiling import tiles_to_learn
from promise_seg.workflows.training_settings import settings_for, usual_reading


class FeatureWork:
    """The encoding of all images that a training with these settings needs.

    Args:
        data: a data set, its manifest, or a function that reads the data set, which is called after the other arguments
            were checked.
        sam, image_size, protocol, val_share, device, encoder_precision: see :func:`promise_seg.train`.
        store: the feature store, or its folder; by default the user's.
        store_precision: the precision of stored features: ``fp16`` or ``int8``.
        note: called with each line that the user should know.
        given: other settings of the training: ``variant``, ``apm``, ``fit``, ``views``, ``augmentation``, ``seed``.
    """

    def __init__(
        self,
        data: Dataset | Callable[[], Dataset] | str | Path,
        *,
        sam: Backbone | str = NANO,
        image_size: int | None = None,
        protocol: str = Protocol.OWN,
        val_share: float = DEFAULT_VAL_SHARE,
        device: str = "auto",
        encoder_precision: str | None = None,
        store: str | Path | FeatureStore | None = None,
        store_precision: str = StorePrecision.FP16,
        note: Note = no_note,
        **given: Any,
    ) -> None:
        self.data, self.sam, self.image_size, self.protocol = data, sam, image_size, protocol
        self.val_share, self.device, self.encoder_precision = val_share, device, encoder_precision
        self.store, self.note, self.given = as_store(store, store_precision), note, given

    def plan(self, progress: Progress = silent) -> EncodingPlan:
        """Estimate what the training will encode, by encoding a few images; their features are stored.

        Raises:
            SettingsError: if an option is invalid.
            ManifestError: if rows or their files cannot be used.
            PromiseError: if the disk of the store is full.
        """
        needed = self._needed(progress, self.device)
        return plan_encoding(needed.samples, needed.sam, self.store, needed.stages, progress)

    def encode(
        self, part: str | None = None, progress: Progress = silent, *, ray: str | None = None, ray_cpus: int = 1
    ) -> EncodingOutcome:
        """Encode the features that the training needs and the store does not have yet.

        Several processes may do this at once, even for the same part: each view is claimed by the process encoding it.

        Args:
            part: ``K/N`` for the Kth of N parts, or ``slurm`` for the part of the task of a job array; by default all.
            progress: called for each image.
            ray: the Ray cluster that encodes: ``auto``, ``local`` or ``HOST:PORT``; see
                :func:`~promise_seg.workflows.predicting.predict_folder`.
            ray_cpus: the number of CPUs of each worker of the cluster.

        Raises:
            SettingsError: if an option is invalid.
            ManifestError: if rows or their files cannot be used.
            PromiseError: if the disk is full, another part was begun with another data set, SAM or version, or the
                cluster cannot work.
        """
        its_part = None if part is None else Part.parse(part)
        if ray is not None:
            return self._encode_on_ray(_cluster(ray, ray_cpus, part, self.sam, self.device), progress)
        check_no_ray_cpus(ray_cpus)
        needed = self._needed(progress, self.device)
        if its_part is None:
            return encode_shared(needed.samples, needed.sam, self.store, needed.stages, progress, self.note)
        shared = self._shared(needed, its_part)
        mine = [one for one in needed.samples if its_part.has(one.key(needed.sam).digest())]
        self.note(f"{its_part.words}: {len(mine):,} of {len(needed.samples):,} views")
        found = encode_shared(mine, needed.sam, self.store, needed.stages, progress, self.note)
        if not found.problems:
            shared.finish()
        return found

    def _encode_on_ray(self, cluster: RayOptions, progress: Progress) -> EncodingOutcome:
        """Encode on a cluster, to which this process distributes the work."""
        needed = self._needed(progress, "cpu", encodes=False)
        place = self.store.place if is_address(self.store.place) else str(self.store.folder.absolute())
        job = EncodeJob(
            needed.sam.name, needed.sam.image_size, self.encoder_precision, self.device, place,
            self.store.precision, needed.stages,
        )  # fmt: skip
        return encode_on_ray(job, needed.samples, needed.sam, self.store, cluster, progress, self.note)

    def _shared(self, needed: "_Needed", part: Part) -> PartsNote:
        """Write or check the note on the settings that all parts share."""
        manifest = "" if needed.data.path is None else str(needed.data.path.resolve())
        called = self.sam if isinstance(self.sam, str) else self.sam.name
        if Path(called).exists():  # a folder or file given by the user
            called = os.fspath(Path(called).resolve())
        words = [
            manifest, called, self.image_size, str(self.protocol), self.val_share, self.encoder_precision,
            sorted(self.given.items()),
        ]  # fmt: skip
        shared = PartsNote(self.store, words, part, manifest or "the data set")
        shared.begin(
            {"data_sha256": needed.data.sha256, "sam_sha256": needed.sam.sha256, "promise_seg": __version__,
             "precision": str(self.store.precision), "encoder_precision": str(needed.sam.encoder_precision)}
        )  # fmt: skip
        return shared

    def _needed(self, progress: Progress, on_device: str, *, encodes: bool = True) -> "_Needed":
        """Return the views to encode, and the SAM: one that encodes, or only names the features if workers encode."""
        settings = settings_for(chosen(Protocol, self.protocol, "--protocol"), None, self.given)
        device, data = pick_device(on_device), self.data
        if isinstance(data, str | Path):
            scan_manifest(data)
        first = first_sam(self.sam, device, self.image_size, self.encoder_precision if encodes else None)
        if callable(data):
            data = data()
        elif not isinstance(data, Dataset):
            data = Dataset.from_csv(data, like=usual_reading(self.protocol, None), progress=progress)
        rows = data.with_validation(self.val_share, settings.seed)
        rows, sam = tiles_to_learn(rows, self.sam, device, self.image_size, None, self.protocol, self.note, first)
        sizing = Sizing(rows.train, None, self.note, settings.fit)
        frozen = sam if isinstance(sam, Backbone) else sizing.load_sam(sam, device, self.image_size, settings, first)
        del first  # it may be another SAM than the one that encodes
        if encodes:
            frozen = encoding_in(frozen, self.encoder_precision)
        elif (precision := parse_encoder_precision(self.encoder_precision)) is not None:
            frozen = frozen.only_named_in(precision)
        config = sizing.with_apm_side(settings).apm_config
        apm = None if config is None else config.completed().build(frozen.sizes)
        training_set = TrainingSet(rows.train, frozen, self.store, settings, apm)
        val = [Sample.of(row, frozen, settings.fit) for row in rows.val]
        return _Needed(rows, val + training_set.samples(settings.views), frozen, training_set.stages_read)


def _cluster(ray: str, cpus: int, part: str | None, sam: Backbone | str, device: str) -> RayOptions:
    """Return the cluster with the given address, after checking that no other option conflicts with it."""
    if part is not None:
        raise SettingsError(f"--part {part}: with --ray, the cluster divides the work. Leave one of them out")
    if not isinstance(sam, str):
        raise SettingsError("ray: a SAM that is loaded already is not sent to a cluster. Give its name or its place")
    return ray_options(ray, cpus, device)


class _Needed(NamedTuple):
    """The views that a training needs, and the SAM that encodes them."""

    data: Dataset
    samples: list[Sample]
    sam: Backbone
    stages: tuple[int, ...]
