import json
from urllib.parse import parse_qs, urlsplit

import pytest

from promise_seg.archives.errors import ArchiveError
from promise_seg.archives.searching import Series, find_instances, find_series, find_studies, is_listed
from tests.archives.serving import json_answer

STUDIES = [{"0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]}} for number in range(7)]


def paging(items, most=100, ignores_offset=False):
    """A rule that gives a page at a time, of ``most`` items at most."""

    def rule(asked):
        query = parse_qs(urlsplit(asked.path).query)
        offset = 0 if ignores_offset else int(query["offset"][0])
        page = items[offset : offset + min(most, int(query["limit"][0]))]
        return json_answer(json.dumps(page)) if page else json_answer("", 204)

    return rule


@pytest.mark.parametrize(("most", "ignores_offset"), [(100, False), (3, False), (1, False), (100, True)])
def test_every_study_is_found_once_whatever_pages_an_archive_gives(serve, connect, most, ignores_offset):
    server = serve(paging(STUDIES, most, ignores_offset))
    assert find_studies(connect(server.address())) == [f"1.2.{number}" for number in range(7)]


@pytest.mark.parametrize("most", [3, 1])
def test_a_study_that_is_deleted_meanwhile_hides_no_other(serve, connect, most):
    left = list(STUDIES)

    def rule(asked):
        if asked.number == 1:
            del left[0]
        return paging(left, most)(asked)

    found = find_studies(connect(serve(rule).address()))
    assert sorted(found) == [f"1.2.{number}" for number in range(7)]


def test_one_page_is_asked_for_once(serve, connect):
    server = serve(paging(STUDIES))
    find_studies(connect(server.address()))
    assert len(server.asked) == 2  # the page, and that there is no other


def test_an_archive_without_an_end_is_left(serve, connect, monkeypatch):
    monkeypatch.setattr("promise_seg.archives.searching._MOST_ITEMS", 5)
    server = serve(lambda asked: json_answer(f'[{{"0020000D": {{"vr": "UI", "Value": ["1.2.{asked.number}"]}}}}]'))
    with pytest.raises(ArchiveError, match=r"/studies: answers with more than 5 items. Choose fewer by filters"):
        find_studies(connect(server.address()))
    assert len(server.asked) == 6


def test_filters_are_asked_for_on_their_level(serve, connect):
    server = serve(paging([]))
    connection = connect(server.address("/d?StudyDate=20260101-20260131&Modality=CT&SeriesDescription=T1 ax*"))
    find_studies(connection)
    find_series(connection, "1.2")
    queries = [parse_qs(urlsplit(one.path).query) for one in server.asked]
    assert [query.pop("limit") and query.pop("offset") and query for query in queries] == [
        {"StudyDate": ["20260101-20260131"], "ModalitiesInStudy": ["CT"]},
        {"Modality": ["CT"], "SeriesDescription": ["T1 ax*"]},
    ]
    assert server.asked[1].path.startswith("/d/studies/1.2/series?")


def series(uid, modality=None):
    item = {"0020000E": {"vr": "UI", "Value": [uid]}}
    return item if modality is None else item | {"00080060": {"vr": "CS", "Value": [modality]}}


def test_what_does_not_fit_an_ignored_filter_is_left_out_with_a_note(serve, connect):
    server = serve(paging([series("1.1", "CT"), series("1.2", "MR"), series("1.3", "US"), series("1.4")]))
    notes = []
    found = find_series(connect(server.address("/d?Modality=CT")), "1", notes.append)
    assert [one.uid for one in found] == ["1.1", "1.4"]
    assert notes == ["the archive ignores the filter Modality: what does not fit it is left out here"]


def test_segmentations_and_reports_hold_no_images():
    assert [Series("1", "2", kind).may_hold_images for kind in ("CT", "", "OT", "SEG", "SR")] == [
        True, True, True, False, False
    ]  # fmt: skip


@pytest.mark.parametrize("uid", ["", "../../etc", "1.2/3", "..", "1" * 200, "1.2 3", "1..2", "1.2\n"])
def test_identifiers_that_are_no_file_names_are_refused(serve, connect, uid):
    server = serve(paging([series(uid, "CT")]))
    if uid == "1.2\n":  # blanks around an identifier are padding
        assert find_series(connect(server.address()), "1")[0].uid == "1.2"
        return
    with pytest.raises(ArchiveError, match=r"the SeriesInstanceUID .*, which is not a unique identifier"):
        find_series(connect(server.address()), "1")


def test_instances_are_found_sorted_and_one_by_its_identifier(serve, connect):
    items = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in ("1.3", "1.1")]
    connection = connect(serve(paging(items)).address())
    assert find_instances(connection, Series("1", "2")) == ["1.1", "1.3"]
    ignoring = connect(serve(lambda asked: json_answer(json.dumps(items))).address())
    assert is_listed(ignoring, Series("1", "2"), "1.3")
    assert not is_listed(ignoring, Series("1", "2"), "1.2")  # though the archive ignores what was asked for
    assert not is_listed(connect(serve().address()), Series("1", "2"), "1.3")
