import pytest
from huggingface_hub.errors import HfHubHTTPError

from promise_seg.hub import how_to_load


@pytest.fixture
def hub(monkeypatch):
    """Let the hub answer, or not, as a test says."""
    asked = []

    def answer(error):
        def metadata(url):
            asked.append(url)
            if error is not None:
                raise error

        monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", metadata)
        return asked

    return answer


def test_the_hub_is_not_asked_for_a_folder(hub, tmp_path):
    asked = hub(ConnectionError())
    assert how_to_load(str(tmp_path)) == {}
    assert not asked


def test_a_hub_that_answers_is_loaded_from(hub):
    asked = hub(None)
    assert how_to_load("owner/name") == {}
    assert asked == ["https://huggingface.co/owner/name/resolve/main/config.json"]


@pytest.mark.parametrize("error", [ConnectionError("refused"), TimeoutError("slow"), RuntimeError("of a library")])
def test_without_an_answer_only_what_was_downloaded_is_looked_at(hub, error):
    hub(error)
    assert how_to_load("owner/name") == {"local_files_only": True}


def test_a_refusal_is_an_answer(hub):
    hub(HfHubHTTPError.__new__(HfHubHTTPError))  # its response is of a library that depends on the version
    assert how_to_load("owner/name") == {}
    assert how_to_load("not a name: at all") == {}
