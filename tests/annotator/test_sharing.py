"""Two tabs, two people: the second is told, and nobody's work is overwritten in silence."""

import pytest

from promise_seg.annotator.leases import LEASE_SECONDS, Leases
from promise_seg.annotator.refusals import Refusal
from tests.annotator.helpers import Tab, refusal


@pytest.fixture
def other(client):
    return Tab(client, 1, user="bob", seed=1)


def test_the_second_is_told_who_has_the_image(tab, other):
    answer = other.open()
    assert refusal(answer) == (409, "held")
    assert answer.json()["error"]["holder"]["user"] == "ada"
    assert refusal(other.send({"type": "skip"})) == (409, "not-held")
    listed = tab.http.get("/api/v1/images?order=name").json()["images"]
    assert [one["holder"] and one["holder"]["user"] for one in listed] == ["ada", None, None]
    assert tab.act("skip")["state"] == "skipped"


def test_who_takes_an_image_over_is_told_by_the_next_action_of_the_first(tab, other):
    tab.act("add", slice=0, **{"class": 1})
    assert other.open(take=True).status_code == 200
    assert list(other.objects) == [1]
    assert refusal(tab.send({"type": "skip"})) == (409, "not-held")
    other.act("properties", object=1, hidden=True)
    assert other.http.get(other.place).json()["user"] == "bob"


def test_an_image_that_is_let_go_is_free(tab, other):
    assert other.http.request("DELETE", other.place + "/lease", json={"client": other.client}).status_code == 200
    assert other.open().status_code == 409  # only its holder lets it go
    tab.http.request("DELETE", tab.place + "/lease", json={"client": tab.client})
    assert other.open().status_code == 200


@pytest.mark.parametrize("name", ["", "  ", "\u00a0", "a\nb", "x" * 201])
def test_a_name_that_is_no_text_is_refused(client, name):
    assert Tab(client, 2, user=name).open().status_code == 422
    assert Tab(client, 2, user=" Ada L. ").open().status_code == 200


def test_a_name_is_text_whatever_is_in_it(client):
    name = '<img src=x onerror="alert(1)">'
    tab = Tab(client, 2, user=name)
    assert tab.open().json()["holder"]["user"] == name
    for wrong in ("", "a" * 201, "a\nb", "a\0b"):
        assert refusal(Tab(client, 3, user=wrong).open()) == (422, "invalid")


def test_a_lease_ends_when_it_is_not_renewed():
    now = [0.0]
    leases = Leases(lambda: now[0])
    leases.take(1, "first", "ada")
    now[0] = LEASE_SECONDS - 1
    leases.check(1, "first")  # renews it
    now[0] += LEASE_SECONDS - 1
    with pytest.raises(Refusal, match="ada has had"):
        leases.take(1, "second", "bob")
    now[0] += 1
    leases.take(1, "second", "bob")
    with pytest.raises(Refusal, match="not held by this tab any more: bob has it"):
        leases.check(1, "first")


def test_a_lease_that_ended_goes_on_unless_somebody_else_took_the_image():
    """As after the lid of a laptop was closed."""
    now = [0.0]
    leases = Leases(lambda: now[0])
    leases.take(1, "first", "ada")
    now[0] = 10 * LEASE_SECONDS
    assert leases.holder(1) is None
    assert leases.check(1, "first").user == "ada"
    assert leases.holder(1).client == "first"
    now[0] += LEASE_SECONDS
    leases.take(1, "second", "bob")
    leases.give_back(1, "second")
    with pytest.raises(Refusal, match="not held by this tab any more"):
        leases.check(1, "first")


def test_an_image_is_taken_over_between_actions_and_not_within_one(tab, other, project, monkeypatch):
    take, locked = Leases.take, []

    def taking(self, image, *more, **most):
        locked.append(project._locks[image].locked())
        take(self, image, *more, **most)

    monkeypatch.setattr(Leases, "take", taking)
    other.open(take=True)
    assert locked == [True]


@pytest.mark.parametrize("take", ["yes", "no", 1, None])
def test_an_image_is_taken_over_by_true_alone(tab, other, take):
    """The word yes once took an image over."""
    answer = other.open(take=take)
    assert refusal(answer) == (422, "invalid")
    tab.act("propose", slice=0)
