"""Predictions at an address (``s3://``, ``gs://``), and the folder on this computer in which a process makes them.

The folder belongs to the process and holds what is known of the predictions: the model, the plan, the logs of all
processes. Each mask is put whole when it is written; what stays of it in the folder is an empty file. Lines of the log
are put as objects of their own, as objects cannot be appended to; they follow the masks that they are about.
"""

import atexit
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from promise_seg.errors import PromiseError, SettingsError
from promise_seg.images.exports.inputs import Input
from promise_seg.images.own_folders import (
    PREDICTION_FAILURES,
    PREDICTION_FOLDERS,
    PREDICTION_IDENTITY,
    PREDICTION_PARQUET,
    PREDICTION_PARTS,
    PREDICTION_TABLE,
)
from promise_seg.object_stores import ObjectFolder, check_address
from promise_seg.prediction.identity import check_identity
from promise_seg.prediction.part_plan import PartPlan, plan_path
from promise_seg.remote_paths import folder_of_process
from promise_seg.swapping import remove
from promise_seg.vocabulary import OutputFormat

_LOG = re.compile(r"(?P<log>.+\.[0-9a-f]{16})\.(?P<number>\d{6})\.jsonl")
_LOGS = "*.jsonl"
_SHARE_SECONDS = 10.0
_TABLES = (PREDICTION_TABLE, PREDICTION_FAILURES, *PREDICTION_PARQUET)


class OutputCopy:
    """The folder of one process for predictions at an address.

    Args:
        address: such as ``s3://bucket/prefix``.

    Raises:
        SettingsError: if the address cannot be meant, or the package for its kind is not installed.
    """

    def __init__(self, address: str) -> None:
        self.objects = ObjectFolder(address, "-o")
        self.folder = folder_of_process("predictions")
        self._lock = threading.Lock()
        self._ends: dict[str, int] = {}  # how much of each log is there, in bytes
        self._numbers: dict[str, int] = {}  # of the objects that a log is divided into
        self._shared_at = time.monotonic()
        self._plan: bytes | None = None  # as it is there

    @property
    def address(self) -> str:
        """The address without a slash at its end."""
        return self.objects.address

    @contextmanager
    def opened(self, *, with_masks: bool = True) -> Iterator["OutputCopy"]:
        """Make the folder, with what is known of the predictions, and remove it at the end.

        Errors that are raised meanwhile name the address in place of the folder.

        Args:
            with_masks: whether it is to be known which masks are there.

        Raises:
            PromiseError: if the server does not answer.
        """
        try:
            self.begin(with_masks=with_masks)
            yield self
        except PromiseError as error:
            raise type(error)(self.named(str(error))) from error
        finally:
            remove(self.folder)

    def begin(self, *, with_masks: bool = True) -> None:
        """Fetch what is known of the predictions, as far as it is not here.

        Raises:
            PromiseError: if the server does not answer.
        """
        (self.folder / PREDICTION_PARTS).mkdir(parents=True, exist_ok=True)
        if with_masks:
            names = list(self.objects.listed(""))
        else:
            names = [f"{PREDICTION_PARTS}/{name}" for name in self.objects.listed(PREDICTION_PARTS)]
            names.append(PREDICTION_IDENTITY)
        for name in names:
            kind, _, below = name.partition("/")
            if kind in PREDICTION_FOLDERS:
                _touch(self.folder / name)
            elif kind == PREDICTION_PARTS and (found := _LOG.fullmatch(below)):
                self._take_log(name, f"{found['log']}.jsonl", int(found["number"]))
            elif kind == PREDICTION_PARTS or name == PREDICTION_IDENTITY:
                self._take(name)
        if (planned := plan_path(self.folder)).exists():
            self._plan = planned.read_bytes()

    def begin_to_work(self) -> None:
        """Make the folder, with what a process must know that is told which images are missing.

        Raises:
            PromiseError: if the server does not answer.
        """
        (self.folder / PREDICTION_PARTS).mkdir(parents=True, exist_ok=True)
        atexit.register(remove, self.folder)
        self._take(PREDICTION_IDENTITY)

    def named(self, words: str) -> str:
        """Return words that name the address in place of the folder."""
        return words.replace(str(self.folder), self.address)

    def share_identity(self, identity: dict[str, object]) -> None:
        """Put the note of what model the predictions are of, unless it is there.

        Raises:
            PromiseError: if there is that of another, or it cannot be written.
        """
        path = self.folder / PREDICTION_IDENTITY
        if not self.objects.write(PREDICTION_IDENTITY, path.read_bytes(), only_new=True):
            self._take(PREDICTION_IDENTITY)
            check_identity(self.folder, identity)

    def share_plan(self, plan: PartPlan, inputs: Sequence[Input]) -> None:
        """Put the list of images and the plan, which were written in the folder.

        Raises:
            PromiseError: if another plan was put there meanwhile, or it cannot be written.
        """
        listed, planned = (self._name(path) for path in (plan.list_path(self.folder), plan_path(self.folder)))
        content, there = plan_path(self.folder).read_bytes(), self.objects.read(planned)
        self._plan = content
        if there == content:
            return
        self.objects.send(listed, self.folder / listed)
        if there is not None:  # that of a list that was predicted completely
            self.objects.write(planned, content)
        elif not self.objects.write(planned, content, only_new=True):
            self._take(planned)
            plan.begin(self.folder, inputs)

    def keep(self, written: Iterable[Path]) -> None:
        """Put files that are complete, and leave empty ones in their places.

        Raises:
            PromiseError: if they cannot be written.
        """
        for path in written:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    self.objects.send(self._name(file), file)
                    file.write_bytes(b"")
        os.utime(self.folder)  # or it would be taken for a stray after a day

    def share_logs(self) -> None:
        """Put what was added to the logs of this process since it was done last.

        Raises:
            PromiseError: if it cannot be written.
        """
        with self._lock:
            for path in sorted((self.folder / PREDICTION_PARTS).glob(_LOGS)):
                with path.open("rb") as file:
                    file.seek(self._ends.get(path.name, 0))
                    lines = file.read()
                lines = lines[: lines.rfind(b"\n") + 1]
                if lines:
                    number = self._numbers.get(path.name, -1) + 1
                    self.objects.write(f"{PREDICTION_PARTS}/{path.stem}.{number:06}.jsonl", lines)
                    self._numbers[path.name] = number
                    self._ends[path.name] = self._ends.get(path.name, 0) + len(lines)

    def share_logs_now_and_then(self) -> None:
        """Do that every few seconds, so that little is done again if the process is killed."""
        if time.monotonic() - self._shared_at > _SHARE_SECONDS:
            self._shared_at = time.monotonic()
            self.share_logs()

    def share_tables(self) -> None:
        """Put the tables of all images, and that the plan is complete if it is; a table that is gone is removed.

        Raises:
            PromiseError: if they cannot be written.
        """
        for name in _TABLES:
            if (self.folder / name).exists():
                self.objects.send(name, self.folder / name)
            else:
                self.objects.remove(name)
        planned = plan_path(self.folder)
        content, name = planned.read_bytes(), self._name(planned)
        if content != self._plan and self.objects.read(name) == self._plan:  # unless another list was begun
            self.objects.write(name, content)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _take(self, name: str) -> None:
        if (content := self.objects.read(name)) is not None:
            (self.folder / name).write_bytes(content)

    def _take_log(self, name: str, log: str, number: int) -> None:
        """Append a part of a log that is not here yet; parts come in the order of their numbers."""
        if number <= self._numbers.get(log, -1) or (content := self.objects.read(name)) is None:
            return
        with (self.folder / PREDICTION_PARTS / log).open("ab") as file:
            file.write(content)
        self._numbers[log] = number
        self._ends[log] = self._ends.get(log, 0) + len(content)


def check_output_address(output: str, wanted: OutputFormat, instances: bool) -> None:
    """Refuse what cannot be written to an address.

    Raises:
        SettingsError: that says what can.
    """
    check_address(output, "-o")
    if wanted == OutputFormat.COCO:
        raise SettingsError("--format coco: is made of all masks, in a folder of this computer. Choose a folder as -o")
    if instances:
        raise SettingsError("--instances: objects.csv is made in a folder of this computer. Choose a folder as -o")


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
