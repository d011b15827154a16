from pathlib import Path

import pytest

from promise_seg.archives.address import Address, address_among, is_address
from promise_seg.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("dicomweb://pacs.example/dicom-web", "https://pacs.example/dicom-web"),
        ("dicomweb://pacs.example:8443/a/b/", "https://pacs.example:8443/a/b"),
        ("dicomweb+https://pacs.example", "https://pacs.example"),
        ("dicomweb+http://pacs.example/dicom-web", "http://pacs.example/dicom-web"),
        ("dicomweb://localhost:8042/dicom-web", "http://localhost:8042/dicom-web"),
        ("dicomweb://127.0.0.1:8042/dicom-web", "http://127.0.0.1:8042/dicom-web"),
        ("dicomweb://[::1]:8042/dicom-web", "http://[::1]:8042/dicom-web"),
        ("dicomweb+https://localhost/a b", "https://localhost/a%20b"),
        ("dicomweb:/pacs.example/dicom-web", "https://pacs.example/dicom-web"),  # as a Path has it
    ],
)
def test_what_is_asked_for_by_which_scheme(text, root):
    assert Address.parse(text).root == root


def test_only_this_computer_and_tls_are_safe_from_listeners():
    safe = ["dicomweb://pacs.example/d", "dicomweb://localhost/d", "dicomweb+http://127.0.0.1/d"]
    assert [Address.parse(one).is_encrypted for one in safe] == [True, True, True]
    assert not Address.parse("dicomweb+http://pacs.example/d").is_encrypted


def test_filters_by_keyword_and_by_tag():
    address = Address.parse("dicomweb://h/d?StudyDate=20260101-20260131&00080060=CT&PatientName=M%C3%BCller*")
    assert address.filters == {"StudyDate": "20260101-20260131", "Modality": "CT", "PatientName": "Müller*"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dicomweb://h/d?Modalty=CT", "Modalty is not a filter of studies or series. Did you mean Modality?"),
        ("dicomweb://h/d?SOPInstanceUID=1", "SOPInstanceUID is not a filter of studies or series"),
        ("dicomweb://h/d?Modality=CT&Modality=MR", "Modality is given twice"),
        ("dicomweb://h/d?Modality=CT&00080060=MR", "Modality is given twice"),
        ("dicomweb://h/d?Modality=", "the filter Modality has no value"),
        ("dicomweb://h/d?Modality", "its filters cannot be read"),
        ("dicomweb://h/d?limit=3", "limit is not a filter; all pages of an answer are read"),
        ("dicomweb+ftp://h/d", r"begins with dicomweb\+ftp://; expected dicomweb://, dicomweb\+https://"),
        ("dicomweb:///d", "has no host"),
        ("dicomweb://h:port/d", "its host or port cannot be read"),
        ("dicomweb://h/d#x", "has a fragment"),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(SettingsError, match=words):
        Address.parse(text)


@pytest.mark.parametrize(
    "text",
    ["dicomweb://anna:s3cret@h/d", "dicomweb://s3cret@h/d", "dicomweb:/anna:s3cret@h/d", "dicomweb+x://anna:s3cret@h/d",
     "dicomweb://h/d?access_token=s3cret", "dicomweb://h/d?token=s3cret#x", "dicomweb://anna:s3cret@h:x/d",
     "dicomweb://h/d?s3=s3cret&Modality", "dicomweb://anna:12/s3cret@h/d", "dicomweb://s3cret#x@h/d",
     "dicomweb://s3cret?x@h/d", "dicomweb://s3cret:12?Modality=x@h/d", "dicomweb://a@s3cret#x@h/d",
     "dicomweb://anna%3As3cret%40h/d"],
)  # fmt: skip
def test_no_message_repeats_a_secret(text):
    with pytest.raises(SettingsError) as caught:
        Address.parse(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["dicomweb://user:123#45@h/d", "dicomweb://user:123?45@h/d"])
def test_a_part_of_a_password_is_not_taken_for_a_port(text):
    with pytest.raises(SettingsError, match=r"contains an @.*write %40 for @") as caught:
        Address.parse(text)
    assert "123" not in str(caught.value)
    assert "user:" not in str(caught.value)


def test_a_filter_may_have_an_at_that_is_written_out():
    assert Address.parse("dicomweb://h/d?PatientID=a%40b").filters == {"PatientID": "a@b"}


def test_addresses_and_files_are_told_apart():
    assert is_address("dicomweb://h/d")
    assert is_address(Path("dicomweb://h/d"))
    assert not is_address("dicomweb")
    assert not is_address(Path("images/dicomweb"))
    assert address_among(["a.png", Path("b")]) is None
    assert address_among([Path("dicomweb://h/d?Modality=CT")]) == Address("https://h/d", {"Modality": "CT"})
    with pytest.raises(SettingsError, match="2 places with the address of an archive among them"):
        address_among(["dicomweb://h/d", "a.png"])
