import pytest

from promise_seg.errors import SettingsError
from promise_seg.learning.settings import make_settings


def test_a_bare_sam_has_nothing_to_train():
    with pytest.raises(SettingsError, match="nothing to train; choose apm, ips or apm"):
        make_settings(variant="sam")


def test_an_unknown_word_in_python_names_the_option_and_the_words():
    with pytest.raises(SettingsError, match=r"--variant: Input should be 'sam', 'apm', 'ips' or 'apm.ips', got 'both'"):
        make_settings(variant="both")
