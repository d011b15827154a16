"""The options of tiles and pyramids: what they make of a reading, and how it is noted."""

import pytest

from promise_seg.errors import SettingsError
from promise_seg.images.reading import Reading, ReadingOptions, make_reading
from promise_seg.images.tiles import Tiling

TILED = make_reading(tile=64, overlap=8, level=1)


def test_tiles_are_noted_only_where_they_are_given_and_come_back():
    assert TILED.tiles == Tiling(side=64, overlap=8)
    noted = TILED.model_dump(mode="json")
    assert noted == make_reading().model_dump(mode="json") | {"tiles": {"side": 64, "overlap": 8}, "level": 1}
    assert Reading.model_validate_json(TILED.model_dump_json()) == TILED


def test_what_is_not_given_is_as_in_the_base():
    for options in ({}, {"tile": "auto"}):
        assert make_reading(TILED, **options) == TILED
    assert make_reading(TILED, tile="none").tiles is None
    assert make_reading(TILED, tile="128").tiles == Tiling(side=128, overlap=8)
    assert make_reading(TILED, overlap=20).tiles == Tiling(side=64, overlap=20)
    assert make_reading(TILED, tile="auto", overlap=20).tiles == Tiling(side=64, overlap=20)
    assert make_reading(tile=128).tiles == Tiling(side=128, overlap=32)
    assert make_reading(TILED, level=0).level == 0
    assert make_reading(tile="auto").tiles is None


def test_options_that_make_one_reading_of_another():
    assert ReadingOptions.that_give(TILED).arguments == ["--tile", "64", "--overlap", "8", "--level", "1"]
    assert ReadingOptions.that_give(make_reading(), TILED).arguments == ["--tile", "none", "--level", "0"]
    for base in (make_reading(), TILED):
        for wanted in (make_reading(), TILED, make_reading(tile=32, overlap=4)):
            assert ReadingOptions.that_give(wanted, base).applied_to(base) == wanted


@pytest.mark.parametrize(
    ("given", "words"),
    [({"tile": "small"}, "--tile small: expected auto, none or the side"), ({"tile": -5}, "--tile -5: expected auto"),
     ({"overlap": 8}, "--overlap 8: tiles are not used without --tile"), ({"level": -1}, "--level -1: expected"),
     ({"tile": "none", "overlap": 8}, "--overlap 8: there are no tiles with --tile none"),
     ({"tile": "auto", "overlap": -5}, "--overlap -5: expected 0 pixels or more"),
     ({"tile": 64, "overlap": 40}, "--overlap 40: expected 0 to 32 pixels")],
)  # fmt: skip
def test_what_cannot_be_meant(given, words):
    with pytest.raises(SettingsError, match=words):
        make_reading(**given)


def test_an_overlap_of_the_tiles_of_a_training_without_tiles():
    given = ReadingOptions(tile="auto", overlap=8)
    given.check_overlaps(given.applied_to(TILED))
    ReadingOptions(tile="auto").check_overlaps(make_reading())
    with pytest.raises(SettingsError, match="--overlap 8: --tile auto is as in training, which was without tiles"):
        given.check_overlaps(given.applied_to(make_reading()))
