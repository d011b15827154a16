"""Get the features of rows and their views from the store or, if they are missing, from the encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from promise_seg.arrays import BoolArray, Uint8Array
from promise_seg.augmentation import AnyView, view_of
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureKey, FeatureStore, rounded
from promise_seg.images.framing import ImageInFrame
from promise_seg.images.geometry import Geometry
from promise_seg.progress import Progress, counted, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.features import Features
from promise_seg.vocabulary import Fit, Recipe


@dataclass(frozen=True)
class Sample:
    """One view of one row, in the model frame of a SAM."""

    checked: CheckedRow
    view: AnyView
    side: int
    fit: Fit

    @staticmethod
    def of(checked: CheckedRow, sam: Backbone, fit: Fit, view_number: int = 0, recipe: Recipe = Recipe.OWN) -> "Sample":
        """Return a numbered view of a row in the model frame of a SAM; view 0 is the image itself."""
        return Sample(checked, view_of(checked.image_sha256, view_number, recipe), sam.image_size, fit)

    @property
    def geometry(self) -> Geometry:
        """The map between the image frame of the row and the model frame."""
        return Geometry(self.checked.height, self.checked.width, self.side, self.fit, self.checked.crop)

    def key(self, sam: Backbone) -> FeatureKey:
        """Return the key of the view's features in the store."""
        return FeatureKey(self.checked.image_sha256, self.fit, self.side, self.view, sam.sha256, self.checked.crop)

    def image(self) -> Uint8Array:
        """Return the image that the encoder sees: (S, S, 3) uint8."""
        return self.view.apply_to_image(ImageInFrame(self.checked.image(), self.geometry).pixels())

    def mask(self) -> BoolArray:
        """Return the ground truth of :meth:`image`: (S, S) bool."""
        return self.to_frame(self.checked.mask())

    def to_frame(self, mask: BoolArray) -> BoolArray:
        """Map a mask (H, W) of the image frame to (S, S), moved as :meth:`image` is."""
        return self.view.apply_to_mask(self.geometry.mask_to_model(mask))


def encode_images(sam: Backbone, images: Sequence[Uint8Array]) -> Features:
    """Encode images (S, S, 3) at the precision of the store. Returns features on the CPU.

    Images are encoded one at a time, so the features of an image never depend on other images.
    """
    with torch.no_grad():
        return Features.cat([rounded(sam.encode(torch.from_numpy(image)[None]).to("cpu")) for image in images])


def encode_one(sample: Sample, sam: Backbone) -> Features:
    """Encode one view of one row: the unit of work that a loop, processes or a cluster can map over samples.

    The result depends only on the arguments, and nothing is stored.
    """
    return encode_images(sam, [sample.image()])


def encode_missing(
    samples: Sequence[Sample],
    sam: Backbone,
    store: FeatureStore,
    progress: Progress = silent,
) -> int:
    """Add missing features to the store; return how many views were encoded.

    Each view is stored as soon as it is encoded, so an interrupted run can resume. Features of an encoder that is
    trained are never stored.
    """
    encoded = 0
    for sample in counted(samples, progress, "encoding"):
        if not sam.encoder_learns and sample.key(sam) not in store:
            store.put(sample.key(sam), encode_one(sample, sam))
            encoded += 1
    return encoded


def features_of(samples: Sequence[Sample], sam: Backbone, store: FeatureStore | None) -> Features:
    """Return the features of a batch, each entry from the store or, if it is missing, from the encoder."""
    if sam.encoder_learns:
        store = None
    parts = []
    for sample in samples:
        found = store.get(sample.key(sam)) if store is not None else None
        if found is None:
            found = encode_one(sample, sam)
            if store is not None:
                store.put(sample.key(sam), found)
        parts.append(found)
    return Features.cat(parts)
