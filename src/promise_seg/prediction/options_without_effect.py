"""Report prediction options that had no effect because no input was of the kind they apply to."""

from promise_seg.images.formats.source import Source
from promise_seg.prediction.labelling import Labeller
from promise_seg.vocabulary import OutputFormat
from promise_seg.volumes.whole_slices import asks_to_join

_WITH_NAMES = (OutputFormat.DICOM_SEG, OutputFormat.NRRD, OutputFormat.RLE, OutputFormat.COCO, OutputFormat.GEOJSON)
"""Formats whose files hold the names of labels."""


class OptionsWithoutEffect:
    """The options that were given and have had no effect yet.

    Args:
        labeller: labeller with its options for names and volumes.
        keep_empty_frames: whether DICOM segmentations have a frame for each slice.
        every: step between the video frames that are predicted.
    """

    def __init__(self, labeller: Labeller, keep_empty_frames: bool, every: int) -> None:
        self._every = f"--every {every}: none of the inputs is a video, so that all images and slices were predicted"
        self._kept = f"--keep-empty-frames: had no effect, because nothing was written as {OutputFormat.DICOM_SEG}"
        self._names = f"--name: had no effect, because the files hold no names. The formats {', '.join(_WITH_NAMES)} do"
        self._joined = f"--slices {labeller.slices}: had no effect, because none of the inputs is a volume"
        given = {
            self._every: every > 1,
            self._kept: keep_empty_frames,
            self._names: labeller.names_are_given,
            self._joined: asks_to_join(labeller.slices),
        }
        self._idle = [words for words, is_given in given.items() if is_given]
        self._has_seen_any = False

    def saw(self, source: Source, written_as: OutputFormat) -> None:
        """Record an input and the format that its labels were written in."""
        self._has_seen_any = True
        has_effect = {
            self._every: source.is_in_time,
            self._kept: written_as == OutputFormat.DICOM_SEG,
            self._names: written_as in _WITH_NAMES,
            self._joined: source.is_volume,
        }
        self._idle = [words for words in self._idle if not has_effect[words]]

    def notes(self) -> list[str]:
        """Return a line for each option without an effect; empty if no input was predicted at all."""
        return self._idle if self._has_seen_any else []
