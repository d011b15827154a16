"""The rule that combines the masks of a volume's slices into one 3-D mask; chosen on validation rows."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from promise_seg.vocabulary import Slices


class VolumeRule(BaseModel):
    """How the slices of a volume are combined, and how the 3-D mask is processed, in the order of the fields.

    Args:
        slices: ``each`` slice separately; ``blend``: probabilities are smoothed along the stack; or ``agree``: each
            slice is also prompted with the mask of its neighbour.
        carried: share of the mask that is prompted from a neighbour, with ``agree``.
        carry: whether the neighbour's mask is a prompt itself, or only the boxes and points made from it.
        blend_mm: standard deviation of the smoothing kernel along the stack, in mm; 0 for none, and ``None`` for the
            spacing of slices, or half of it with ``agree``.
        step_mm: spacing of slices that is assumed, in mm, for volumes whose spacing is not known.
        fill_holes: whether cavities that are closed in 3-D are filled.
        least_mm3: smallest volume of a connected component that is kept, in mm³, if the size of voxels is known.
        keep: all connected components, or only the largest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slices: Literal[Slices.EACH, Slices.BLEND, Slices.AGREE] = Slices.EACH
    carried: float = Field(0.5, ge=0, le=1)
    carry: Literal["mask", "box"] = "box"
    blend_mm: float | None = Field(None, ge=0)
    step_mm: float = Field(1.0, gt=0)
    fill_holes: bool = False
    least_mm3: float = Field(0.0, ge=0)
    keep: Literal["all", "largest"] = "all"

    @property
    def cleans(self) -> bool:
        """Whether the 3-D mask is processed after the slices are combined."""
        return self.fill_holes or self.least_mm3 > 0 or self.keep == "largest"

    @property
    def changes(self) -> bool:
        """Whether the mask of a volume may differ from the masks of its separate slices."""
        return self.slices != Slices.EACH or self.cleans

    def sigma_mm(self, step_mm: float) -> float:
        """Return the standard deviation of the kernel along the stack, in mm, for a slice spacing of ``step_mm``."""
        if self.slices == Slices.EACH:
            return 0.0
        if self.blend_mm is not None:
            return self.blend_mm
        return step_mm if self.slices == Slices.BLEND else step_mm / 2

    @property
    def words(self) -> str:
        """A short description of the rule."""
        parts = [{
            Slices.EACH: "slices segmented separately",
            Slices.BLEND: "slices blended",
            Slices.AGREE: f"each slice also prompted with the {self.carry} of its neighbour (weight {self.carried:g})",
        }[self.slices]]  # fmt: skip
        if self.slices != Slices.EACH and self.blend_mm != 0:
            usual = "the slice spacing" if self.slices == Slices.BLEND else "half the slice spacing"
            parts.append(
                "a Gaussian kernel along the stack with a standard deviation of "
                f"{usual if self.blend_mm is None else f'{self.blend_mm:g} mm'}"
            )
        if self.fill_holes:
            parts.append("cavities filled")
        if self.least_mm3:
            parts.append(f"components below {self.least_mm3:g} mm³ removed")
        if self.keep == "largest":
            parts.append("only the largest component kept")
        return ", ".join(parts)


EACH_SLICE = VolumeRule()
"""The rule that segments each slice separately, without processing in 3-D."""


def rule_for(chosen: VolumeRule | None, slices: Slices) -> VolumeRule:
    """Return the rule of a model with the user's way of combining slices; the processing in 3-D stays as chosen.

    Args:
        chosen: the rule that was chosen on validation rows; ``None`` for a model without a rule.
        slices: the way that the user asks for; ``auto`` keeps that of the rule.
    """
    rule = chosen or EACH_SLICE
    return rule if slices == Slices.AUTO else rule.model_copy(update={"slices": slices})
