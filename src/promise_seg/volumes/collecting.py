"""Collect the masks of a volume's slices, and the features to decode them again."""

import numpy as np
import torch
from torch import Tensor

from promise_seg.arrays import Float32Array
from promise_seg.images.geometry import Geometry
from promise_seg.inference.masks import decode_one
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import Proposal
from promise_seg.sam.features import EMBEDDING, Features
from promise_seg.storage.kept_arrays import KeptArrays
from promise_seg.vocabulary import MaskChoice
from promise_seg.volumes.stack import Stack

_OF_APM = "apm_"
"""Prefix of the names of an APM's own tensors, which SAM's decoder does not read."""


class KeptFeatures:
    """The decoder's input features of slices, by slice number, in a temporary file; each slice is stored once."""

    def __init__(self) -> None:
        self._arrays = KeptArrays()
        self._names: list[str] = []

    def put(self, number: int, features: Features) -> None:
        """Store a slice, in half precision if that is lossless, as it is for fresh features."""
        tensors = {name: value for name, value in features.tensors.items() if not name.startswith(_OF_APM)}
        self._names = list(tensors)
        for name, value in tensors.items():
            if (name, number) in self._arrays:
                continue
            array = value.float().cpu().numpy()
            with np.errstate(over="ignore"):
                half = array.astype(np.float16)
            self._arrays.put((name, number), half if np.array_equal(half.astype(np.float32), array) else array)

    def get(self, number: int, device: torch.device) -> Features:
        """Return the features of a slice.

        Raises:
            KeyError: if the slice was not stored.
        """
        tensors: dict[str, Tensor] = {}
        for name in self._names or [EMBEDDING]:
            array = self._arrays.get((name, number))
            tensors[name] = torch.from_numpy(array.astype(np.float32)).to(device)
        return Features(tensors)

    def close(self) -> None:
        """Free the space of the temporary file."""
        self._arrays.close()


class CollectedSlices:
    """The model's masks for its own prompts, separately for each slice of a volume.

    Low-resolution logits and features are in temporary files; only a few numbers per slice are in memory.

    Args:
        model: model in evaluation mode, with an APM.
        stack: geometry of the slices, which are added in its order.
        keeps_features: whether to store features, for decoding slices again with prompts from their neighbours.
        mask_choice: which of SAM's masks to take; by default the model's choice.
        kept: feature storage that models with the same SAM share; by default a new one.
    """

    def __init__(
        self,
        model: PromiseModel,
        stack: Stack,
        *,
        keeps_features: bool,
        mask_choice: MaskChoice | None = None,
        kept: KeptFeatures | None = None,
    ) -> None:
        self.model, self.stack, self.keeps_features = model, stack, keeps_features
        self._mask_choice = mask_choice
        self.geometries: list[Geometry] = []
        self.predicted_iou: list[float] = []
        self._own, self._features = KeptArrays(), kept or KeptFeatures()

    def __len__(self) -> int:
        return len(self.geometries)

    @torch.no_grad()
    def add(self, features: Features, geometry: Geometry) -> Proposal:
        """Add the next slice, and return the prompts that the model proposed for it.

        Args:
            features: features of this slice, with the APM's outputs.
            geometry: geometry of the slice, which must not be divided into tiles.
        """
        proposal = self.model.propose(features)
        masks = decode_one(self.model, features, proposal, geometry)
        logits, iou = masks.chosen(self._mask_choice or self.model.answer_to(proposal).mask_choice)
        number = len(self)
        self._own.put(number, logits.amax(0).float().cpu().numpy())
        self.predicted_iou.append(float(iou.mean()))
        self.geometries.append(geometry)
        if self.keeps_features:
            self._features.put(number, features.with_stages(()))
        return proposal

    def own_logits(self, number: int) -> Float32Array:
        """Return the low-resolution logits (h, h) of a slice, before slices are combined."""
        return np.asarray(self._own.get(number), np.float32)

    def features(self, number: int) -> Features:
        """Return the decoder's input features of a slice, on the model's device.

        Raises:
            KeyError: if features are not stored.
        """
        return self._features.get(number, self.model.device)

    def close(self) -> None:
        """Free the space of the temporary files."""
        self._own.close()
        self._features.close()
