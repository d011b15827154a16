"""The own masks of a volume's slices, as they come, and the features to ask SAM about them once more."""

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
"""The beginning of the names of an APM's own tensors, which SAM's decoder does not read."""


class KeptFeatures:
    """The tensors of slices that SAM's decoder reads, by number, in a temporary file; each slice is kept once."""

    def __init__(self) -> None:
        self._arrays = KeptArrays()
        self._names: list[str] = []

    def put(self, number: int, features: Features) -> None:
        """Keep a slice, in half precision where that loses nothing, as it does for fresh features."""
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
        """Return a slice.

        Raises:
            KeyError: if it was not kept.
        """
        tensors: dict[str, Tensor] = {}
        for name in self._names or [EMBEDDING]:
            array = self._arrays.get((name, number))
            tensors[name] = torch.from_numpy(array.astype(np.float32)).to(device)
        return Features(tensors)

    def close(self) -> None:
        """Free the space of the temporary file."""
        self._arrays.close()


class Collected:
    """The model's masks for its own prompts, of each slice of a volume by itself.

    Low-resolution logits and features are in a temporary file; in memory are a few numbers for each slice.

    Args:
        model: in evaluation mode, with an APM.
        stack: of the slices, which come in its order.
        keeps_features: whether slices are to be decoded again, with prompts that come from their neighbours.
        mask_choice: which of SAM's masks is taken; by default as the model chose.
        kept: where features are kept, by models that share those of their SAM.
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
        """Take the next slice, and return the prompts that the model proposed for it.

        Args:
            features: of this slice alone, with what the APM found in it.
            geometry: of the slice, which is seen whole.
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
        """Return the low-resolution logits (h, h) of a slice by itself."""
        return np.asarray(self._own.get(number), np.float32)

    def features(self, number: int) -> Features:
        """Return what SAM's decoder reads of a slice, on the model's device.

        Raises:
            KeyError: if features are not kept.
        """
        return self._features.get(number, self.model.device)

    def close(self) -> None:
        """Free the space of the temporary files."""
        self._own.close()
        self._features.close()
