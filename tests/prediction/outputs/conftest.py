import numpy as np
import pytest

from promise_seg.images.formats.opening import open_source
from promise_seg.prediction.labelled import Labelled, LabelledSlice, Origin
from promise_seg.vocabulary import Axis


@pytest.fixture
def label():
    """Labels of a file as if predicted: blobs that depend on nothing but their shape."""

    def make(path, names=None, axis=Axis.AUTO, separate=False, empty=False):
        is_binary = names is None
        names = names or {1: "segmentation"}
        source = open_source(path, axis)
        rng = np.random.default_rng(0)
        slices = []
        for index in range(len(source)):
            shape = source.values(index).shape[:2]
            labels = rng.choice([0, *names], shape).astype(np.uint16) * (not empty)
            origin = Origin(np.zeros((0, 2), np.float32), np.zeros(0, np.int64), 0.5)
            slices.append(LabelledSlice(labels, dict.fromkeys(names, origin)))
        return Labelled(source, tuple(slices), names, is_binary, separate)

    return make
