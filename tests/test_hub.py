"""The hub is asked before anything is loaded from it, and each reason why nothing could be had has its own words."""

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from promise_seg import hub as module
from promise_seg.hub import ModelPlace, find_model

NOTHING = OSError("no file named config.json")
LOCAL = {"local_files_only": True}


@pytest.fixture(autouse=True)
def _nothing_is_remembered(monkeypatch):
    monkeypatch.setattr(module, "_remembered", None)


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


@pytest.fixture
def clock(monkeypatch):
    """The seconds that are said to have passed, in a list of one."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_the_hub_is_not_asked_for_a_folder(hub, tmp_path):
    asked = hub(ConnectionError())
    assert find_model(str(tmp_path)).options == {}
    assert not asked


def test_a_hub_that_answers_is_loaded_from(hub):
    asked = hub(None)
    assert find_model("owner/name").options == {}
    assert asked == [f"{constants.ENDPOINT}/owner/name/resolve/main/config.json"]


@pytest.mark.parametrize("error", [ConnectionError("refused"), TimeoutError("slow"), RuntimeError("of a library")])
def test_without_an_answer_only_what_was_downloaded_is_looked_at(hub, error):
    hub(error)
    assert find_model("owner/name") == ModelPlace("owner/name", error)
    assert find_model("owner/name").options == LOCAL


def test_a_refusal_is_an_answer(hub):
    hub(HfHubHTTPError.__new__(HfHubHTTPError))  # its response is of a library that depends on the version
    assert find_model("owner/name").options == {}


def test_an_answer_holds_for_a_while_and_none_for_a_moment(hub, clock):
    asked = hub(ConnectionError("refused"))
    assert [find_model(f"owner/{number}").options for number in range(3)] == [LOCAL] * 3
    assert len(asked) == 1
    clock[0] = module._SILENCE_SECONDS
    asked = hub(None)
    assert [find_model(f"owner/{number}").options for number in range(3)] == [{}] * 3
    assert len(asked) == 2
    clock[0] += module._ANSWER_SECONDS
    find_model("owner/name")
    assert len(asked) == 3


@pytest.mark.parametrize("name", ["/no/such/folder", "runs/models/sam", "./sam", "not a name: at all"])
def test_a_folder_that_is_not_there_is_no_matter_of_the_hub(hub, name):
    asked = hub(ConnectionError("refused"))
    assert find_model(name).why_not(NOTHING) == (
        "there is no such folder, and models of the hub are called OWNER/NAME."
    )
    assert not asked


def test_a_folder_and_a_hub_that_answers_say_it_in_the_words_of_the_library(hub, tmp_path):
    hub(None)
    for name in ("owner/name", str(tmp_path)):
        assert find_model(name).why_not(NOTHING) == "no file named config.json."


@pytest.mark.parametrize("was_downloaded", [True, False])
def test_a_silent_hub_is_told_from_a_model_that_was_downloaded_and_is_of_no_use(hub, monkeypatch, was_downloaded):
    hub(TimeoutError("slow"))
    found = "/cache/config.json" if was_downloaded else None
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: found)
    silence = f"the hub, {constants.ENDPOINT}, was asked once and did not answer (TimeoutError: slow)."
    reason = find_model("owner/name").why_not(ValueError("transformers has no backbone of the kind bert"))
    assert reason == (
        "what was downloaded before cannot be used: transformers has no backbone of the kind bert. Besides, " + silence
        if was_downloaded
        else "there is no such folder, no model of that name was downloaded before, and " + silence
    )
