"""Encode the views of a training on a Ray cluster."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from promise_seg.features.remote import open_store
from promise_seg.features.store import FeatureStore
from promise_seg.fleet.dispatch import Dispatcher
from promise_seg.fleet.ray_cluster import RayOptions, connected
from promise_seg.fleet.work import SharedFolders, WorkReport
from promise_seg.inference.encoding import Sample
from promise_seg.inference.sharing import EncodingOutcome, encode_claimed, encoding_claims, name_of_claim
from promise_seg.progress import Progress, counted
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import load_sam
from promise_seg.storage.holders import Holder
from promise_seg.storage.object_stores import is_address
from promise_seg.vocabulary import StorePrecision
from promise_seg.workflows.devices import pick_device
from promise_seg.workflows.encoding import encoding_in
from promise_seg.workflows.noting import Note
from promise_seg.workflows.ray_places import place_of

_HASH_SHOWN = 12


@dataclass(frozen=True)
class EncodeJob:
    """The instructions for each worker: which SAM to load, and where to store features.

    Args:
        sam: the name or place of the SAM.
        image_size: the side of its input, in pixels.
        encoder_precision: the precision that it encodes in; ``None`` for that in which it is loaded.
        device: the device for the SAM.
        store: the store: a folder or an address.
        store_precision: the precision of stored features.
        stages: the stages that are needed.
        place: the folders that the worker must see.
    """

    sam: str
    image_size: int
    encoder_precision: str | None
    device: str
    store: str
    store_precision: StorePrecision
    stages: tuple[int, ...]
    place: SharedFolders | None = None

    def open(self) -> "EncodeWork":
        """Load SAM on the computer of a worker.

        Raises:
            PromiseError: if that computer lacks something.
        """
        if self.place is not None:
            self.place.enter()
        sam = encoding_in(load_sam(self.sam, pick_device(self.device), self.image_size), self.encoder_precision)
        return EncodeWork(sam, open_store(self.store, self.store_precision), self.stages)


class EncodeWork:
    """The state of a worker of a cluster: SAM and the store.

    Args:
        sam: the SAM that encodes.
        store: the store that all workers share.
        stages: the stages that are needed.
    """

    def __init__(self, sam: Backbone, store: FeatureStore, stages: Collection[int]) -> None:
        self._sam, self._store, self._stages, self._claims = sam, store, stages, encoding_claims(store)
        self.facts = facts_of(sam)
        self.notes = tuple(f"{sam.name}: {words}" for words in sam.notes)

    def do(self, items: Sequence[Sample], again: bool) -> WorkReport:
        """Encode a few views, unless they are in the store; the store also shows what other workers did meanwhile.

        Raises:
            PromiseError: if the store cannot be written.
        """
        del again
        problems, claimed, found = dict[int, str](), dict[int, str](), EncodingOutcome()
        with self._store.in_use(), self._claims.ending():
            for number, sample in enumerate(items):
                before = len(found.problems)
                holder = encode_claimed(sample, self._sam, self._store, self._stages, self._claims, found)
                if holder is not None:
                    claimed[number] = str(holder)
                elif len(found.problems) > before:
                    problems[number] = found.problems[-1]
        return WorkReport(found.encoded, found.already_there, problems, claimed)


class _EncodeDesk:
    """The main process's handling of views whose workers died; see :class:`~promise_seg.fleet.work.Desk`."""

    work = "encode"

    def __init__(self, store: FeatureStore, sam_sha256: str) -> None:
        self._store, self._sam_sha256, self._claims = store, sam_sha256, encoding_claims(store)

    def name(self, item: Sample) -> str:
        """Return the name of a view in logs."""
        return item.key_of(self._sam_sha256).digest()

    def free(self, item: Sample, process: Holder) -> None:
        """End the claim of a dead worker."""
        self._claims.end_of(name_of_claim(item, self._sam_sha256, self._store), process)

    def begin(self) -> None:
        """Do nothing: the keys of entries already identify data and SAM."""

    def fail(self, item: Sample, reason: str) -> str:
        """Return the message about a view that is given up."""
        return f"{item.checked.name}: {reason}"


def facts_of(sam: Backbone) -> dict[str, str]:
    """Return the facts about the SAM that must be the same in all workers."""
    return {"SAM": sam.features_sha256[:_HASH_SHOWN]}


def encode_on_ray(
    job: EncodeJob,
    samples: Sequence[Sample],
    sam: Backbone,
    store: FeatureStore,
    ray: RayOptions,
    progress: Progress,
    note: Note,
) -> EncodingOutcome:
    """Encode the missing features of a store on a cluster.

    Args:
        job: the instructions for the workers.
        samples: the views that are needed.
        sam: the SAM, as this process knows it.
        store: the store, as this process knows it.
        ray: the cluster.
        progress: called for each view.
        note: called with each line that the user should know about the cluster.

    Raises:
        SettingsError: if there is no such cluster.
        PromiseError: if a worker has another SAM or another version, the store cannot be written, or no computer of the
            cluster can work.
    """
    missing: list[Sample] = []
    for sample in counted(() if sam.encoder_learns else samples, progress, "looking"):
        key = sample.key(sam)
        if store.has(key, job.stages):
            store.note_use(key)
        else:
            missing.append(sample)
    note(f"{len(samples):,} views, {len(missing):,} of them to be encoded")
    if not missing:
        return EncodingOutcome(already_there=len(samples))
    desk, first = _EncodeDesk(store, sam.features_sha256), missing[0].checked.row.image
    with (
        connected(ray) as fleet,
        store.in_use(),
        place_of(None if is_address(job.store) else store.folder, (first,)) as place,
    ):
        fleet.job = replace(job, place=place)
        dispatcher = Dispatcher(fleet, desk, facts_of(sam), stage="encoding", progress=progress, note=note)
        found = dispatcher.run(missing)
    problems = [found.problems[number] for number in sorted(found.problems)]
    return EncodingOutcome(found.done, len(samples) - len(missing) + found.already_there, problems)
