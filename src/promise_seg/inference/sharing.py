"""Encode views into one store from several processes, on one or many computers, without a lock server.

Entries are named by everything that determines their content, and are written atomically: two processes that encode
the same view write the same file. Claims only avoid the duplicate work.
"""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from promise_seg.errors import ImageError, PromiseError
from promise_seg.features.store import FeatureStore
from promise_seg.images.guarding import guarded
from promise_seg.inference.encoding import Sample, encode_one
from promise_seg.monitoring.hooks import item_ended, step
from promise_seg.parallel.parts import Part
from promise_seg.progress import Progress, Stage, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.features import ALL_STAGES
from promise_seg.storage.claims import Claims
from promise_seg.storage.holders import Holder
from promise_seg.storage.locks import STALE_SECONDS
from promise_seg.vocabulary import ItemOutcome, WorkStep

_FACTS = "facts.json"
_PAUSE_SECONDS = 2.0  # between two checks of views that other processes have claimed
_NAMES = {"data_sha256": "other rows or files", "sam_sha256": "another SAM", "promise_seg": "another version",
          "precision": "another --store-precision"}  # fmt: skip


@dataclass
class EncodingOutcome:
    """The outcome of encoding views.

    Args:
        encoded: number of views that this process encoded.
        already_there: number of views that were stored before, or by other processes meanwhile.
        problems: a line for each view that could not be encoded.
    """

    encoded: int = 0
    already_there: int = 0
    problems: list[str] = field(default_factory=list)


def encode_shared(
    samples: Sequence[Sample],
    sam: Backbone,
    store: FeatureStore,
    stages: Collection[int] = ALL_STAGES,
    progress: Progress = silent,
    note: Callable[[str], object] = str,
) -> EncodingOutcome:
    """Add missing features to a store that other processes fill too, and wait for views that they encode.

    An image that cannot be read does not stop the others.

    Args:
        samples: the views that are needed.
        sam: the SAM that encodes them; if its encoder is being trained, nothing is stored.
        store: the store.
        stages: the stages that are read.
        progress: called for each view.
        note: called once with a line about the process that is waited for.

    Raises:
        PromiseError: if the store cannot be written.
    """
    found, claims, has_told = EncodingOutcome(), encoding_claims(store), False
    pending = [] if sam.encoder_learns else list(samples)
    tick = Stage(progress, "encoding", len(pending))
    with store.in_use(), claims.ending():
        while pending:
            left, holder = [], None
            for sample in pending:
                if (owner := encode_claimed(sample, sam, store, stages, claims, found)) is None:
                    tick()
                else:
                    left.append(sample)
                    holder = owner
            if left and len(left) == len(pending):
                if not has_told:
                    note(
                        f"waiting for {len(left):,} views that other processes have claimed, such as {holder}; claims "
                        f"of dead processes are taken over within {STALE_SECONDS / 60:.0f} minutes"
                    )
                    has_told = True
                _pause()
            pending = left
    return found


def encoding_claims(store: FeatureStore) -> Claims:
    """Return the claims of this process on views that are encoded into a store."""
    return Claims(store.folder / "claims")


def name_of_claim(sample: Sample, sam_sha256: str, store: FeatureStore) -> str:
    """Return the name by which a view is claimed."""
    return store.path(sample.key_of(sam_sha256)).name


def _pause() -> None:
    time.sleep(_PAUSE_SECONDS)


def encode_claimed(
    sample: Sample, sam: Backbone, store: FeatureStore, stages: Collection[int], claims: Claims, found: EncodingOutcome
) -> Holder | None:
    """Encode a view unless it is stored or claimed by another process: the unit of work of :func:`encode_shared`.

    Args:
        sample: the view.
        sam: the SAM that encodes it.
        store: the store for its features.
        stages: the stages that are read.
        claims: claims of this process.
        found: outcome so far, which is updated for this view.

    Returns:
        The process that has claimed the view, if it is another one; otherwise ``None``.

    Raises:
        PromiseError: if the store cannot be written.
    """
    key = sample.key(sam)
    if store.has(key, stages):
        store.note_use(key)
        found.already_there += 1
        item_ended("encode", key.digest(), ItemOutcome.ALREADY_THERE)
        return None
    name = name_of_claim(sample, sam.features_sha256, store)
    if (holder := claims.take(name)) is not None:
        return holder
    started, outcome = time.monotonic(), ItemOutcome.ALREADY_THERE
    try:
        if store.has(key, stages):
            found.already_there += 1
        else:
            with guarded(sample.checked.name, "encoded"):
                features = encode_one(sample, sam, stages)
                with step(WorkStep.WRITE, key.digest()):
                    store.put(key, features)
            found.encoded += 1
            outcome = ItemOutcome.DONE
        item_ended("encode", key.digest(), outcome, time.monotonic() - started)
    except ImageError as error:
        found.problems.append(str(error))
        item_ended("encode", key.digest(), ItemOutcome.FAILED, time.monotonic() - started, error)
    finally:
        claims.give_back(name)
    return None


class PartsNote:
    """A note in a store that processes with parts of the same work share until all parts are done.

    Args:
        store: the store.
        words: the user's arguments, which are the same for all parts.
        part: the part of this process.
        manifest: manifest of the data set, for messages.
    """

    def __init__(
        self, store: FeatureStore, words: Sequence[object], part: Part, manifest: str = "the data set"
    ) -> None:
        digest = hashlib.sha256(json.dumps([*words, part.count], default=str).encode(errors="surrogateescape"))
        self._notes, self._part, self._manifest = store.notes(digest.hexdigest()[:16]), part, manifest

    def begin(self, facts: dict[str, Any]) -> None:
        """Write the facts if there are none yet; otherwise check that they are the same.

        Raises:
            PromiseError: if another part was begun with other facts, or the store cannot be read or written.
        """
        try:
            known = self._notes.first(_FACTS, facts)
        except (OSError, ValueError) as error:
            raise PromiseError(
                f"{self._notes.place}/{_FACTS}: cannot be read: {error}. Remove it, and encode all parts again"
            ) from error
        others = [words for name, words in _NAMES.items() if known.get(name) != facts[name]]
        if others:
            raise PromiseError(
                f"--part {self._part}: another part of the same work was encoded with {' and '.join(others)}: "
                f"{self._manifest} or the SAM changed meanwhile. Encode all parts with the same; to begin anew, remove "
                f"{self._notes.place}: what was encoded stays"
            )

    def finish(self) -> None:
        """Record that this part is done; after the last part, remove the note."""
        self._notes.add(_done(self._part.number))
        with self._notes.alone(_FACTS):
            numbers = range(1, self._part.count + 1)
            if all(self._notes.has(_done(number)) for number in numbers):
                for name in (_FACTS, *map(_done, numbers)):
                    self._notes.remove(name)


def _done(number: int) -> str:
    """Return the name of the note that records that a part is done."""
    return f"{number}.done"
