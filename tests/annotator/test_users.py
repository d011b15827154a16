"""Names of users that can be stored and shown; tests/cli/test_annotate.py has those that cannot."""

import pytest

from promise_seg.annotator.project import Options
from promise_seg.annotator.users import check_user
from promise_seg.errors import SettingsError


def test_an_empty_name_is_refused():
    with pytest.raises(SettingsError, match="--user: is ''; expected a name"):
        Options(user="")


@pytest.mark.parametrize("name", ["a", "x" * 200, "Ada Lovelace", "O'Neil <ada@example.org>", "नवीन\u200dम", "林"])
def test_other_names_can_be_used(name):
    check_user(name)
