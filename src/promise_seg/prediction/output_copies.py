"""Predictions in an object store (``s3://``, ``gs://``), and the local folder in which a process makes them.

The local folder belongs to one process and mirrors the state of the predictions: the model, the plan, and the logs of
all processes. Each mask is uploaded as soon as it is written, and an empty file is left in its place. Lines of the log
are uploaded as separate objects, because objects cannot be appended to, and always after the masks they describe.
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
from promise_seg.prediction.identity import check_identity
from promise_seg.prediction.part_plan import PartPlan, plan_path
from promise_seg.storage.object_stores import ObjectFolder, check_address
from promise_seg.storage.remote_paths import folder_of_process
from promise_seg.storage.swapping import remove
from promise_seg.vocabulary import OutputFormat

_LOG = re.compile(r"(?P<log>.+\.[0-9a-f]{16})\.(?P<number>\d{6})\.jsonl")
_LOGS = "*.jsonl"
_SHARE_SECONDS = 10.0
_TABLES = (PREDICTION_TABLE, PREDICTION_FAILURES, *PREDICTION_PARQUET)


class OutputCopy:
    """The local folder of one process for predictions at an address.

    Args:
        address: address in an object store, such as ``s3://bucket/prefix``.

    Raises:
        SettingsError: if the address is invalid, or the package for its protocol is not installed.
    """

    def __init__(self, address: str) -> None:
        self.objects = ObjectFolder(address, "-o")
        self.folder = folder_of_process("predictions")
        self._lock = threading.Lock()
        self._ends: dict[str, int] = {}  # bytes of each log that are at the address
        self._numbers: dict[str, int] = {}  # number of the last object of each log
        self._shared_at = time.monotonic()
        self._plan: bytes | None = None  # content of the plan at the address

    @property
    def address(self) -> str:
        """The address without a trailing slash."""
        return self.objects.address

    @contextmanager
    def opened(self, *, with_masks: bool = True) -> Iterator["OutputCopy"]:
        """Create the local folder with the state of the predictions, and remove it at the end.

        Errors that are raised in between name the address instead of the local folder.

        Args:
            with_masks: whether to list the masks that exist at the address, too.

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
        """Download the state of the predictions, as far as it is not in the local folder yet.

        Args:
            with_masks: whether to list the masks that exist at the address, too.

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
        """Create the local folder for a process that is told which images are missing: only the identity is fetched.

        Raises:
            PromiseError: if the server does not answer.
        """
        (self.folder / PREDICTION_PARTS).mkdir(parents=True, exist_ok=True)
        atexit.register(remove, self.folder)
        self._take(PREDICTION_IDENTITY)

    def named(self, words: str) -> str:
        """Return a message in which the address replaces the local folder."""
        return words.replace(str(self.folder), self.address)

    def share_identity(self, identity: dict[str, object]) -> None:
        """Upload the identity of the predictions, unless it is already at the address.

        Raises:
            PromiseError: if the address holds predictions of another model, or cannot be written.
        """
        path = self.folder / PREDICTION_IDENTITY
        if not self.objects.write(PREDICTION_IDENTITY, path.read_bytes(), only_new=True):
            self._take(PREDICTION_IDENTITY)
            check_identity(self.folder, identity)

    def share_plan(self, plan: PartPlan, inputs: Sequence[Input]) -> None:
        """Upload the list of images and the plan, which were written to the local folder.

        Raises:
            PromiseError: if another plan was uploaded in the meantime, or the address cannot be written.
        """
        listed, planned = (self._name(path) for path in (plan.list_path(self.folder), plan_path(self.folder)))
        content, there = plan_path(self.folder).read_bytes(), self.objects.read(planned)
        self._plan = content
        if there == content:
            return
        self.objects.send(listed, self.folder / listed)
        if there is not None:  # the plan of a list that was predicted completely
            self.objects.write(planned, content)
        elif not self.objects.write(planned, content, only_new=True):
            self._take(planned)
            plan.begin(self.folder, inputs)

    def keep(self, written: Iterable[Path]) -> None:
        """Upload finished files, and leave empty files in their places.

        Raises:
            PromiseError: if they cannot be written.
        """
        for path in written:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    self.objects.send(self._name(file), file)
                    file.write_bytes(b"")
        os.utime(self.folder)  # otherwise it would count as a stray folder after a day

    def share_logs(self) -> None:
        """Upload the lines that were added to the logs of this process since the last call.

        Raises:
            PromiseError: if they cannot be written.
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
        """Call :meth:`share_logs` at most every 10 seconds, so that little is lost if the process is killed."""
        if time.monotonic() - self._shared_at > _SHARE_SECONDS:
            self._shared_at = time.monotonic()
            self.share_logs()

    def share_tables(self) -> None:
        """Upload the tables of all images, and the plan if it is complete now; remove tables that no longer exist.

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
        """Download a part of a log and append it, unless that was done before; parts come in order."""
        if number <= self._numbers.get(log, -1) or (content := self.objects.read(name)) is None:
            return
        with (self.folder / PREDICTION_PARTS / log).open("ab") as file:
            file.write(content)
        self._numbers[log] = number
        self._ends[log] = self._ends.get(log, 0) + len(content)


def check_output_address(output: str, wanted: OutputFormat, instances: bool) -> None:
    """Check that the format can be written to an address.

    Raises:
        SettingsError: if the address is invalid, or the format or the table of objects needs a local folder.
    """
    check_address(output, "-o")
    if wanted == OutputFormat.COCO:
        raise SettingsError(
            "--format coco: the file is written from all masks, which must be in a folder on this computer. Choose a "
            "folder as -o"
        )
    if instances:
        raise SettingsError(
            "--instances: objects.csv is written from the files of all images, which must be in a folder on this "
            "computer. Choose a folder as -o"
        )


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
