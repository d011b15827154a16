"""The plan shared by all processes that predict parts of one list of images: the list and the program's version."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg._version import __version__
from promise_seg.errors import PromiseError, first_line
from promise_seg.images.exports.input_list import InputList
from promise_seg.images.exports.inputs import Input
from promise_seg.images.own_folders import PREDICTION_IDENTITY, PREDICTION_LOG, PREDICTION_PARTS, PREDICTION_TABLE
from promise_seg.prediction.part_logs import ALL_LISTS, ALL_LOGS
from promise_seg.storage.files import replacing
from promise_seg.storage.locks import in_turn
from promise_seg.storage.sealed import read_sealed, write_sealed
from promise_seg.storage.strays import remove_strays

_HASH_IN_NAME = 16
_UNDIVIDED = (PREDICTION_TABLE, PREDICTION_LOG, PREDICTION_IDENTITY)  # a run without parts writes one of these first


@dataclass(frozen=True)
class PartPlan:
    """The list of images that are predicted in parts, and the version that predicts them.

    Args:
        inputs: number of images.
        inputs_sha256: hash of the stems of the images.
        promise_seg: version of promise-seg that predicts the images.
        complete: whether all images were predicted when the parts were merged; only then can a plan with another list
            or version replace this one.
    """

    inputs: int
    inputs_sha256: str
    promise_seg: str
    complete: bool = False

    @classmethod
    def of(cls, inputs: Sequence[Input]) -> "PartPlan":
        """Return the plan for a list of images, in the order of their stems.

        Raises:
            PromiseError: if a name is not valid UTF-8 and so cannot be written to a table.
        """
        inputs, digest, count = InputList.of(inputs), hashlib.sha256(), 0
        for stems, keys in inputs.stems_and_keys():
            if not _is_utf8(*stems, *keys):
                number = next(n for n, both in enumerate(zip(stems, keys, strict=True), count) if not _is_utf8(*both))
                raise PromiseError(
                    f"{inputs[number].name!a}: its name, or that of its folder, is not valid UTF-8. Rename it"
                )
            digest.update(b"\n".join([*stems, b""]))
            count += len(stems)
        return cls(count, digest.hexdigest(), __version__)

    @classmethod
    def read(cls, folder: Path) -> "PartPlan":
        """Read the plan of a folder of predictions.

        Raises:
            PromiseError: if there is no plan, or it is damaged.
        """
        path = plan_path(folder)
        try:
            return cls(**read_sealed(path))
        except (FileNotFoundError, NotADirectoryError):
            raise PromiseError(
                f"{folder}: holds no parts of predictions; expected the output folder of promise predict "
                "with --part or --ray"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise PromiseError(
                f"{path}: cannot be read: {first_line(error)}. Remove it, and run the same promise predict again: "
                "finished predictions are kept"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the plan, replacing an existing one."""
        write_sealed(plan_path(folder), dict(vars(self)))

    def begin(self, folder: Path, inputs: Sequence[Input]) -> None:
        """Write the plan, or check that it matches the existing one.

        Raises:
            PromiseError: if the folder holds an unfinished plan for another list or version, or predictions that were
                not made in parts.
        """
        remove_strays(plan_path(folder).parent)
        if self._is_begun(folder):
            return
        if not self.list_path(folder).exists():
            self._write_list(folder, InputList.of(inputs))
        with in_turn(plan_path(folder)):
            if not self._is_begun(folder):
                self.write(folder)

    def check(self, folder: Path) -> None:
        """Check the plan like :meth:`begin`, without writing anything."""
        self._is_begun(folder)

    def note_complete(self, folder: Path) -> None:
        """Record that all images are in the table, unless another list was started in the meantime.

        Raises:
            PromiseError: if the plan cannot be read or written.
        """
        with in_turn(plan_path(folder)):
            if PartPlan.read(folder) == self:
                replace(self, complete=True).write(folder)

    def _is_begun(self, folder: Path) -> bool:
        """Whether this is the plan of a folder already; ``False`` if it can be written there, otherwise an error."""
        if not plan_path(folder).exists():
            if not holds_parts(folder) and any((folder / name).exists() for name in _UNDIVIDED):
                raise PromiseError(
                    f"{folder}: contains predictions that were not made in parts. Choose another -o folder, or "
                    "predict the rest without --part and --ray"
                )
            return False
        found = PartPlan.read(folder)
        if replace(found, complete=False) == self:
            return True
        if found.complete:
            return False
        begin = f"wait until no part is at work and remove {plan_path(folder)}: finished predictions are kept"
        if found.promise_seg != self.promise_seg:
            raise PromiseError(
                f"{folder}: is predicted by promise-seg {found.promise_seg}, and this is {self.promise_seg}. Use the "
                f"same version for all parts, or choose another -o folder. To continue with this version, {begin}"
            )
        raise PromiseError(
            f"{folder}: contains predictions in parts of {found.inputs:,} images, but the {self.inputs:,} images that "
            "were given now are not the same: files were added, removed or renamed in the meantime. Give the same "
            f"images to all parts. To begin with another list, {begin}"
        )

    def list_path(self, folder: Path) -> Path:
        """Return the path of the list of images, which has a JSON line with stem and name for each image."""
        return folder / PREDICTION_PARTS / ALL_LISTS.replace("*", self.inputs_sha256[:_HASH_IN_NAME])

    def listed(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Yield the stem and name of each image, in the order of stems.

        Raises:
            PromiseError: if the list cannot be read, or is damaged.
        """
        path, digest = self.list_path(folder), hashlib.sha256()
        try:
            with path.open(encoding="utf-8") as file:
                for line in file:
                    stem, name = json.loads(line)
                    digest.update(f"{stem}\n".encode())
                    yield stem, name
        except (OSError, ValueError, TypeError) as error:
            raise PromiseError(f"{path}: cannot be read: {first_line(error)}. {self._way_out(folder)}") from error
        if digest.hexdigest() != self.inputs_sha256:
            raise PromiseError(f"{path}: is not the list that was written. {self._way_out(folder)}")

    def _way_out(self, folder: Path) -> str:
        return f"Remove it and {plan_path(folder)}, and run the same promise predict again"

    def _write_list(self, folder: Path, inputs: InputList) -> None:
        with replacing(self.list_path(folder)) as to, to.open("w", encoding="utf-8") as file:
            named = zip(inputs.stems(), inputs.names(), strict=True)
            file.writelines(json.dumps(one) + "\n" for one in named)


def _is_utf8(*texts: bytes) -> bool:
    try:
        b"\n".join(texts).decode()
    except UnicodeDecodeError:
        return False
    return True


def plan_path(folder: Path) -> Path:
    """Return the path of the plan in a folder of predictions."""
    return folder / PREDICTION_PARTS / "plan.json"


def holds_parts(folder: Path) -> bool:
    """Whether a folder of predictions was predicted in parts."""
    place = folder / PREDICTION_PARTS
    return plan_path(folder).exists() or any(any(place.glob(pattern)) for pattern in (ALL_LOGS, ALL_LISTS))


def in_order(inputs: Iterable[Input]) -> InputList:
    """Return images in the order that parts are based on, which is independent of where folders are mounted."""
    return InputList.of(inputs).by_stem()
