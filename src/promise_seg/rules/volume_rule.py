"""The rule by which the masks of a volume's slices become one mask in 3-D, chosen on validation rows."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from promise_seg.vocabulary import Slices


class VolumeRule(BaseModel):
    """How the slices of a volume come together, and what is done to its mask in 3-D, in the order of the fields.

    Args:
        slices: ``each`` slice by itself, probabilities that ``blend`` along the stack, or slices that ``agree``: each
            is also asked with the mask of its neighbour.
        carried: the share of the mask that was carried from a neighbour, where slices agree.
        carry: whether the neighbour's mask is a prompt itself, or only its boxes and points are.
        blend_mm: the standard deviation of the kernel along the stack, in mm; 0 for none, and ``None`` for the distance
            of slices, or half of it where slices agree.
        step_mm: the distance that is taken for that between slices, in volumes that do not say it.
        fill_holes: whether cavities that are closed in 3-D are filled.
        least_mm3: connected components that are smaller are left out, where the size of voxels is known.
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
        """Whether anything is done to the mask in 3-D after the slices came together."""
        return self.fill_holes or self.least_mm3 > 0 or self.keep == "largest"

    @property
    def changes(self) -> bool:
        """Whether the mask of a volume may differ from those of its slices by themselves."""
        return self.slices != Slices.EACH or self.cleans

    def sigma_mm(self, step_mm: float) -> float:
        """Return the standard deviation of the kernel along the stack, in mm, where slices are so far apart."""
        if self.slices == Slices.EACH:
            return 0.0
        if self.blend_mm is not None:
            return self.blend_mm
        return step_mm if self.slices == Slices.BLEND else step_mm / 2

    @property
    def words(self) -> str:
        """A short description."""
        parts = [{
            Slices.EACH: "each slice by itself",
            Slices.BLEND: "slices blended",
            Slices.AGREE: f"slices agree (the neighbour's {self.carry} has a share of {self.carried:g})",
        }[self.slices]]  # fmt: skip
        if self.slices != Slices.EACH and self.blend_mm != 0:
            usual = "the distance of slices" if self.slices == Slices.BLEND else "half the distance of slices"
            parts.append(f"a kernel of {usual if self.blend_mm is None else f'{self.blend_mm:g} mm'} along the stack")
        if self.fill_holes:
            parts.append("cavities filled")
        if self.least_mm3:
            parts.append(f"nothing below {self.least_mm3:g} mm³")
        if self.keep == "largest":
            parts.append("the largest component kept")
        return ", ".join(parts)


EACH_SLICE = VolumeRule()
"""Each slice by itself, and nothing done in 3-D."""


def rule_for(chosen: VolumeRule | None, slices: Slices) -> VolumeRule:
    """Return the rule of a model where a user asks for slices in some way; what is done in 3-D stays as chosen.

    Args:
        chosen: the rule that was chosen on validation rows; ``None`` for a model without one.
        slices: what the user asks for.
    """
    rule = chosen or EACH_SLICE
    return rule if slices == Slices.AUTO else rule.model_copy(update={"slices": slices})
