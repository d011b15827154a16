"""Predict the images of a hospital archive, and send the segmentations back to it or to another archive."""

import shutil
from dataclasses import replace
from pathlib import Path

from promise_seg.archives.address import Address
from promise_seg.archives.connection import Connection
from promise_seg.archives.credentials import Credentials
from promise_seg.archives.errors import ArchiveError, ArchiveStoppedError
from promise_seg.archives.storing import store
from promise_seg.errors import ImageError, NoImagesError, SettingsError
from promise_seg.images.channels import Channels
from promise_seg.parallel.overlapping import Helper
from promise_seg.prediction.folders import Outcome, PredictionFolder, predict_into
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.table import stem_of
from promise_seg.progress import Progress
from promise_seg.storage.locks import alone_in
from promise_seg.vocabulary import OutputFormat
from promise_seg.workflows.archive_notes import SeriesNote, SeriesNotes
from promise_seg.workflows.archive_series import ArchiveSource, Task, connected, how_far, inputs_of
from promise_seg.workflows.noting import Note

_SENT_SUFFIX = ".dcm"


def archive_to_send_to(
    source: Address | None, send: bool, to: str | None, wanted: OutputFormat, instances: bool = False
) -> Address | None:
    """Return the archive that segmentations are sent to, or None if they are not sent.

    Raises:
        SettingsError: if the images do not come from an archive, the masks are not written as DICOM segmentations, or
            the address to send to has filters.
    """
    if not send and to is None:
        return None
    if source is None:
        raise SettingsError(
            f"{'--send' if to is None else '--to'}: sends segmentations of images that came from an archive. Give its "
            "address, as dicomweb://HOST/PATH, in place of files"
        )
    if wanted not in (OutputFormat.AUTO, OutputFormat.DICOM_SEG):
        raise SettingsError(
            f"--format {wanted}: archives store DICOM segmentations. Leave out --format, or do not send them"
        )
    if instances:
        raise SettingsError(
            "--instances: archives store DICOM segmentations, which hold named segments and no instance maps. Leave it "
            "out, or do not send them"
        )
    target = source if to is None else Address.parse(to)
    if to is not None and target.filters:
        raise SettingsError(f"{target.root}: filters choose what is read, and --to is only sent to. Leave them out")
    return Address(target.root)


class _Run:
    """The work on each retrieved series, with counts of predicted and sent masks."""

    def __init__(
        self,
        labeller: Labeller,
        target: PredictionFolder,
        notes: SeriesNotes,
        sink: Connection | None,
        every: int,
        channels: Channels | None,
        note: Note,
        problems: list[str],
    ) -> None:
        self._labeller, self._target, self._notes, self._sink = labeller, target, notes, sink
        self._every, self._channels, self._note, self._problems = every, channels, note, problems
        self.predicted = self.already_there = self.sent = self.sent_before = 0

    def is_done(self, task: Task[SeriesNote]) -> bool:
        """Whether a series needs no images: its masks exist, or it is known to hold no images."""
        return task.known is not None and all(map(self._is_there, task.known.masks))

    def _is_there(self, mask: str) -> bool:
        return self._target.mask_of(stem_of(mask, self._target.folder)) == mask

    def do(self, task: Task[SeriesNote], where: str) -> None:
        """Predict a retrieved series, unless its masks exist, and send the masks that were not sent before.

        Raises:
            ArchiveStoppedError: if the archive that receives the masks can no longer be reached.
        """
        if task.known is not None and self.is_done(task):
            note = task.known
            self.already_there += len(note.masks)
            self._remove_images(task)  # left over from a process that was killed
        else:
            made = self._predicted(task, where)
            if made is None:
                return
            note = made
        if not note.masks:
            self._problems.append(
                f"{where}: has no images with pixels. It is not retrieved again; to have it looked at once more, "
                f"remove {self._notes.path(task.series)}"
            )
        if self._sink is not None:
            for mask in note.masks:
                note = self._sent(task, note, mask, self._sink, where)

    def _predicted(self, task: Task[SeriesNote], where: str) -> SeriesNote | None:
        """Predict the images of a series and return the note on it, or None if some of them could not be predicted."""
        images = self._notes.images(task.series)
        try:
            inputs = inputs_of(task.series, images, self._target.folder, self._channels, self._note)
        except NoImagesError:
            inputs = []
        except ImageError as error:  # not noted, as it may not occur the next time
            self._problems.append(f"{where}: {error}")
            self._remove_images(task)
            return None
        outcome = predict_into(self._target, self._labeller, inputs, every=self._every)
        self.predicted += outcome.predicted
        self.already_there += outcome.already_there
        self._problems += [f"{where}: {problem}" for problem in outcome.problems]
        note = None
        if not outcome.problems:
            masks = [self._target.mask_of(one.stem) for one in inputs]
            note = SeriesNote(task.instances_sha256, tuple(mask for mask in masks if mask is not None))
            self._notes.write(task.series, note)  # before the images are removed
        self._remove_images(task)
        return note

    def _remove_images(self, task: Task[SeriesNote]) -> None:
        shutil.rmtree(self._notes.images(task.series), ignore_errors=True)

    def _sent(self, task: Task[SeriesNote], note: SeriesNote, mask: str, sink: Connection, where: str) -> SeriesNote:
        """Send a mask that the target archive does not have yet, and return the updated note on the series."""
        root = sink.address.root
        if mask in note.sent_to(root):
            self.sent_before += 1
            return note
        if not mask.endswith(_SENT_SUFFIX):
            self._problems.append(f"{where}: {mask} is not a DICOM segmentation and cannot be sent; a note says why")
            return note
        try:
            is_new = store(sink, self._target.folder / mask, sink.pause)
        except ArchiveStoppedError:
            raise
        except ArchiveError as error:
            self._problems.append(str(error))
            return note
        self.sent += is_new
        self.sent_before += not is_new
        note = note.with_sent(root, mask)
        self._notes.write(task.series, note)
        return note


class ArchiveJob:
    """The prediction of the images of an archive, with the archive that receives the segmentations.

    Args:
        address: the address of the images to predict.
        sink: the archive that segmentations are sent to, if any.
        folder: the output folder.
        progress: called for each study, and for the instances of each series.
        note: called with a line for inputs that are left out and for each wait.

    Raises:
        SettingsError: if the credentials in the environment are invalid.
        ArchiveError: if the archive cannot be searched, or has no matching studies.
    """

    def __init__(self, address: Address, sink: Address | None, folder: Path, progress: Progress, note: Note) -> None:
        self._source, self._sink = _connections(address, sink, note)
        self._notes, self._progress, self._note = SeriesNotes(folder), progress, note
        self._problems: list[str] = []
        self._images = ArchiveSource(self._source, self._notes, self._problems, progress, note)
        self._images.search()

    def predict(
        self, labeller: Labeller, target: PredictionFolder, every: int = 1, channels: Channels | None = None
    ) -> Outcome:
        """Predict all images into an open prediction folder.

        One series is retrieved while another is predicted, and its images are removed once its masks are written. A
        series that cannot be retrieved, or whose segmentation the archive rejects, does not stop the others. If an
        archive can no longer be reached, the work stops: finished series are kept, and the problems report it.

        Args:
            labeller: the labeller that predicts.
            target: the folder for masks and for notes on what was done.
            every: predict every Nth frame of clips.
            channels: the channels that the model reads.

        Raises:
            PromiseError: if the folder cannot be written, or another process retrieves into it.
        """
        run = _Run(labeller, target, self._notes, self._sink, every, channels, self._note, self._problems)
        try:
            with alone_in(self._notes.folder, "retrieving images"), Helper(depth=1) as helper:
                try:
                    self._go_through(run, helper)
                finally:
                    self._source.stop()
        finally:
            target.finish()
        if self._sink is not None:
            self._note(
                f"{self._sink.address.root}: {run.sent} segmentation(s) sent, {run.sent_before} were there already"
            )
        outcome = Outcome(run.predicted, run.already_there, self._problems, target.notes)
        return replace(outcome, notes=[*outcome.notes, *target.notes_on_options(outcome)])

    def _go_through(self, run: "_Run", helper: Helper) -> None:
        """Retrieve, predict and send one series after another."""
        images, total, done = self._images, len(self._images.studies), 0

        def fetch(task: Task[SeriesNote]) -> None:
            if not run.is_done(task):
                images.fetch(task)

        self._progress("studies", 0, total)
        try:
            for task, fetched in helper.ahead(images.tasks(), fetch):
                done = task.number  # the studies before it are done
                self._progress("studies", done, total)
                try:
                    fetched()
                    run.do(task, images.where(task.series))
                except ArchiveStoppedError:
                    raise
                except ArchiveError as error:
                    self._problems.append(str(error))
        except ArchiveStoppedError as error:
            self._problems.append(how_far(error, done, total))
        else:
            self._progress("studies", total, total)


def _connections(address: Address, sink: Address | None, note: Note) -> tuple[Connection, Connection | None]:
    """Return the connections to both archives; the credentials of one are not sent to the other."""
    credentials = Credentials()
    source, sending = connected(address, credentials, note), None
    if sink is not None and sink.root == address.root:
        sending = Connection(sink, credentials, told=note)
    elif sink is not None:
        sending = connected(sink, Credentials(of_target=True), note)
    return source, sending
