import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.readers import read_image
from promise_seg.images.reading import make_reading
from promise_seg.images.windows import PRESETS, parse_window

DOCS = Path(__file__).parents[2] / "docs"
VALUES = np.array([[-1000, -160, 40], [50, 240, 1000]], np.int16)


@pytest.fixture
def ct(tmp_path):
    tifffile.imwrite(tmp_path / "ct.tif", VALUES)
    return tmp_path / "ct.tif"


def grey(path, window):
    image = read_image(path, make_reading(window=window))
    assert (image == image[..., :1]).all()
    return image[..., 0].ravel().tolist()


def test_a_level_and_a_width(ct):
    assert grey(ct, "40,400") == [0, 0, 128, 134, 255, 255]
    assert grey(ct, "-600,1500") == grey(ct, "lung")
    assert grey(ct, "abdomen") == grey(ct, "50,400")
    assert set(grey(ct, "brain")) == {0, 128, 159, 255}


def test_the_file_s_own_and_percentiles(ct):
    assert grey(ct, "own") == [0, 107, 133, 134, 158, 255]
    assert grey(ct, "percentile:0,100") == grey(ct, "own")
    assert grey(ct, "percentile:20,80") == [0, 0, 127, 134, 255, 255]
    assert grey(ct, "percentile")[0] == 0


def test_three_windows_make_three_channels(ct):
    image = read_image(ct, make_reading(window="lung+mediastinum+bone"))
    for channel, name in enumerate(("lung", "mediastinum", "bone")):
        assert image[..., channel].ravel().tolist() == grey(ct, name)


@pytest.mark.parametrize(
    "text", ["", "liverish", "40", "40,", "40,0", "40,-5", "nan,4", "lung+bone", "percentile:5", "percentile:90,10"]
)
def test_what_is_no_window(text):
    with pytest.raises(
        SettingsError, match=r"--window .*: expected own, percentile .*, LEVEL,WIDTH, or one of abdomen"
    ):
        parse_window(text)


def test_presets_are_what_the_page_says():
    (line,) = [one for one in (DOCS / "data-format.md").read_text().splitlines() if "a CT window with this" in one]
    assert "level and width" in line
    said = {name: (float(level), float(width)) for name, level, width in re.findall(r"`(.*?)` \((.*?), (.*?)\)", line)}
    assert said == PRESETS
    assert set(said.values()) >= {(30, 150), (-600, 1500)}


@pytest.mark.parametrize("name", PRESETS)
def test_windows_are_written_as_they_were_read(name):
    for text in (name, "percentile:1,99", "12.5,80", f"own+{name}+own"):
        assert str(parse_window(text)) == text


def test_colours_have_no_level(tmp_path):
    Image.fromarray(np.zeros((3, 3, 3), np.uint8)).save(tmp_path / "c.png")
    for window in ("lung", "lung+bone+brain", "own+own+own"):
        with pytest.raises(ImageError, match=r"c\.png: a picture in colour; --window"):
            read_image(tmp_path / "c.png", make_reading(window=window))
    assert read_image(tmp_path / "c.png", make_reading(window="percentile")).shape == (3, 3, 3)
