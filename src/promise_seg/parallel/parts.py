"""Numbered parts of a list of work that several processes share: which part a process has, and the items in it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from promise_seg.errors import SettingsError

SLURM = "slurm"
"""The value of ``--part`` that stands for the task of a Slurm job array."""
_NUMBER = re.compile(r"[0-9]{1,9}")
_NUMBERS = re.compile(rf"({_NUMBER.pattern})/({_NUMBER.pattern})")
_SHOWN = 20
_VARIABLES = {
    name: f"SLURM_ARRAY_TASK_{name.upper()}" for name in ("id", "count", "min", "max", "step")
}  # as sbatch(1) describes them


@dataclass(frozen=True)
class Part:
    """Part ``number`` of ``count``, from 1.

    Args:
        number: number of the part, from 1.
        count: number of all parts.
        origin: where both numbers come from, for messages; empty if the user gave them.
    """

    number: int
    count: int
    origin: str = ""

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] = os.environ) -> "Part":
        """Return the part that a user asks for.

        Args:
            text: ``K/N``, or ``slurm`` for the task of a Slurm job array.
            environment: environment variables, some of which Slurm sets.

        Raises:
            SettingsError: if the text is invalid, or Slurm's variables are missing or do not describe equal steps.
        """
        if text == SLURM:
            return cls._of_slurm(environment)
        found = _NUMBERS.fullmatch(text)
        if found is None:
            raise SettingsError(
                f"--part {text}: expected K/N, such as 3/8 for the third of eight parts, or {SLURM} in a job array"
            )
        number, count = int(found[1]), int(found[2])
        if not 1 <= number <= count:
            raise SettingsError(f"--part {text}: expected K from 1 to N; parts are counted from 1")
        return cls(number, count)

    @classmethod
    def _of_slurm(cls, environment: Mapping[str, str]) -> "Part":
        missing = [name for name in _VARIABLES.values() if name not in environment and not name.endswith("STEP")]
        if missing:
            raise SettingsError(
                f"--part {SLURM}: {', '.join(missing)} not set; expected a task of a job array, which sbatch --array "
                "starts. Give --part K/N elsewhere"
            )
        values = {}
        for key, name in _VARIABLES.items():
            text = environment.get(name, "1")
            if _NUMBER.fullmatch(text) is None:
                raise SettingsError(
                    f"--part {SLURM}: {name} is {text[:_SHOWN]!r}; expected a whole number of at most nine digits. "
                    "Give --part K/N"
                )
            values[key] = int(text)
        first, last, step, count = values["min"], values["max"], values["step"], values["count"]
        number, rest = divmod(values["id"] - first, max(step, 1))
        if step < 1 or rest or (last - first) // step + 1 != count or not 0 <= number < count:
            raise SettingsError(
                f"--part {SLURM}: task {values['id']} of {count} tasks from {first} to {last} in steps of {step}: the "
                "tasks are not evenly spaced, so that their parts are not known. Use --array=1-N, or give --part K/N"
            )
        words = f"task {values['id']} of the job array {first}-{last}{f':{step}' if step > 1 else ''}"
        return cls(number + 1, count, words)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def words(self) -> str:
        """A description of the part, with the origin of its numbers."""
        return f"part {self.number} of {self.count}{f' ({self.origin})' if self.origin else ''}"

    @property
    def slice(self) -> slice:
        """The slice of a list: every Nth item, from the Kth, so that parts differ in size by one item at most."""
        return slice(self.number - 1, None, self.count)

    def has(self, digest: str) -> bool:
        """Whether the item with this hexadecimal hash is in the part; this does not depend on other items."""
        return int(digest[:16], 16) % self.count == self.number - 1
