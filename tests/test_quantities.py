import pytest

from promise_seg.errors import SettingsError
from promise_seg.quantities import bytes_in_words, bytes_of_words, seconds_in_words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (2048, "2.0 KB"), (2_097_152, "2.1 MB"), (639_000_000, "639 MB"), (3e12, "3.0 TB")],
)
def test_sizes_in_words(count, words):
    assert bytes_in_words(count) == words


@pytest.mark.parametrize(("words", "count"), [("20GB", 20 * 10**9), ("0B", 0), (" 1.5 mb ", 1_500_000)])
def test_sizes_of_words(words, count):
    assert bytes_of_words(words, "--to") == count


@pytest.mark.parametrize("words", ["20", "GB", "-1GB", "1 PB", "", "9" * 400 + "GB"])
def test_what_is_not_a_size_is_refused(words):
    with pytest.raises(SettingsError, match=r"--to .*: expected a size with its unit"):
        bytes_of_words(words, "--to")


@pytest.mark.parametrize(
    ("seconds", "words"), [(1.26, "1.3 s"), (42.4, "42 s"), (61, "1 min"), (3600, "1 h 0 min"), (18_615, "5 h 10 min")]
)
def test_durations_in_words(seconds, words):
    assert seconds_in_words(seconds) == words
