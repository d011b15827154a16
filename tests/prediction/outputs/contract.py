"""What every writer of predictions promises: subclass this for a new output format."""

import errno
import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from promise_seg.errors import ImageError, PromiseError
from promise_seg.images.readers import read_labels
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.outputs.formats import WRITERS, formats_for
from promise_seg.vocabulary import OutputFormat

CLASSES = ({1: "one", 2: "two"}, {1: "one", 300: "three hundred"})


class WriterContract:
    """A format's promises, for an input that it suits."""

    output: ClassVar[OutputFormat]
    refused: ClassVar[str | None] = None
    """What is said of an input that the format cannot hold; ``None`` if it holds labels of any."""

    def write_input(self, folder: Path) -> Path:
        """Write a picture or volume that the format suits into an empty folder; return what is to be opened."""
        raise NotImplementedError

    def write_unsuitable(self, folder: Path) -> Path:
        """Write an input that the format cannot hold the labels of."""
        raise NotImplementedError

    def read(self, path: Path, labelled: Labelled) -> np.ndarray:
        """Return labels (N, H, W) as a file holds them: by default it is read as a mask of its image."""
        return np.stack([read_labels(path, labelled.source, i) for i in range(len(labelled.slices))])

    @pytest.fixture
    def path(self, tmp_path):
        """Where to write, in a folder that is not there yet."""
        return tmp_path / "out" / f"scan{WRITERS[self.output].suffix}"

    @pytest.fixture
    def image(self, tmp_path):
        (tmp_path / "in").mkdir()
        return self.write_input(tmp_path / "in")

    def write(self, labelled: Labelled, path: Path) -> Path:
        """Write labels and return the only thing that is then in the folder."""
        WRITERS[self.output].write(labelled, path)
        (written,) = path.parent.iterdir()
        return written

    def test_it_has_a_name_and_a_suffix(self):
        assert WRITERS[self.output].suffix.startswith(".")

    def test_it_is_chosen_by_its_name(self, label, image):
        assert formats_for(label(image).source, self.output) == [self.output]

    @pytest.mark.parametrize("names", CLASSES)
    def test_labels_are_read_back(self, label, image, path, names):
        labelled = label(image, names)
        written = self.write(labelled, path)
        assert written == path or (written.is_dir() and written.name == "scan")
        assert np.array_equal(self.read(written, labelled), labelled.stack)

    def test_a_plain_mask_is_read_back(self, label, image, path):
        labelled = label(image)
        assert np.array_equal(self.read(self.write(labelled, path), labelled) > 0, labelled.stack > 0)

    def test_nothing_found_is_read_back(self, label, image, path):
        labelled = label(image, CLASSES[0], empty=True)
        assert not self.read(self.write(labelled, path), labelled).any()

    def test_it_takes_the_place_of_an_older_one(self, label, image, path):
        self.write(label(image, CLASSES[0], empty=True), path)
        labelled = label(image, CLASSES[0])
        assert np.array_equal(self.read(self.write(labelled, path), labelled), labelled.stack)

    def test_it_is_written_whole_or_not_at_all(self, label, image, path, monkeypatch):
        labelled = label(image, CLASSES[0])
        written = self.write(labelled, path)

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "chmod", full)  # when all is written, but not yet in its place
            with pytest.raises(PromiseError, match="cannot write: No space left on device"):
                WRITERS[self.output].write(label(image, CLASSES[0], empty=True), path)
        assert list(path.parent.iterdir()) == [written]
        assert np.array_equal(self.read(written, labelled), labelled.stack)

    def test_others_may_read_it_as_the_system_says(self, label, image, path):
        old = os.umask(0o027)
        try:
            written = self.write(label(image), path)
        finally:
            os.umask(old)
        assert written.stat().st_mode & 0o777 == (0o750 if written.is_dir() else 0o640)

    def test_what_it_cannot_hold_is_said_and_nothing_is_written(self, label, tmp_path, path):
        if self.refused is None:
            return
        (tmp_path / "unsuitable").mkdir()
        image = self.write_unsuitable(tmp_path / "unsuitable")
        with pytest.raises(ImageError, match=self.refused) as caught:
            WRITERS[self.output].write(label(image), path)
        assert str(image) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not path.parent.exists() or not list(path.parent.iterdir())
