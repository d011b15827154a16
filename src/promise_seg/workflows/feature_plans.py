"""Say what encoding the images of a training will take, before it is begun."""

from pathlib import Path
from typing import Any

from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample
from promise_seg.inference.planning import EncodingPlan, plan_encoding
from promise_seg.learning.training_set import TrainingSet
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import NANO
from promise_seg.vocabulary import EncoderPrecision, Protocol
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.devices import pick_device
from promise_seg.workflows.evaluation import as_store
from promise_seg.workflows.noting import Note, no_note
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
    encoder_precision: str = EncoderPrecision.FP32,
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
    settings = settings_for(chosen(Protocol, protocol, "--protocol"), None, given)
    if not isinstance(data, Dataset):
        data = Dataset.from_csv(data, like=usual_reading(protocol, None), progress=progress)
    rows = data.with_validation(val_share, settings.seed)
    where = as_store(store)
    rows, sam = tiles_to_learn(rows, sam, pick_device(device), image_size, None, protocol, note)
    sizing = Sizing(rows.train, None, note)
    frozen = sam if isinstance(sam, Backbone) else sizing.load_sam(sam, pick_device(device), image_size, settings)
    frozen.lighten(chosen(EncoderPrecision, encoder_precision, "--encoder-precision"))
    config = sizing.with_apm_side(settings).apm_config
    apm = None if config is None else config.completed().build(frozen.sizes)
    training_set = TrainingSet(rows.train, frozen, where, settings, apm)
    val = [Sample.of(row, frozen, settings.fit) for row in rows.val]
    samples = val + training_set.samples(settings.views)
    return plan_encoding(samples, frozen, where, training_set.stages_read, progress)
