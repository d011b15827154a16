"""Answers that are late, cut or refused, and leases that were lost: no action is lost, and none is done twice."""

import json
import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

SHOWN_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
COUNT_TIMERS = """() => { const was = window.setInterval; document.body.dataset.timers = '0';
    window.setInterval = (...given) => { document.body.dataset.timers = 'more'; return was(...given); }; }"""
SKIP = """async (number) => {
    const client = crypto.randomUUID();
    const ask = (method, path, body) => fetch(`/api/v1/images/${number}/${path}`, { method,
        headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }).then((answer) => answer.json());
    const { revision } = await ask('POST', 'lease', { client });
    await ask('POST', 'actions', { id: crypto.randomUUID(), client, revision, action: { type: 'skip' } });
    await ask('DELETE', 'lease', { client });
}"""


def points_of(annotator):
    return len(annotator.served()["list"][0]["points"])


def client_of(annotator):
    """What the tab calls itself."""
    with annotator.page.expect_request("**/lease") as asked:
        annotator.page.evaluate(SHOWN_AGAIN)
    asked.value.response()
    return asked.value.post_data_json["client"]


def hold_back(annotator, pattern, method):
    """Keep the next request of a kind from going on; returns where it is put."""
    kept = []

    def handle(route):
        if route.request.method == method and not kept:
            kept.append(route)
        else:
            route.fallback()

    annotator.page.route(pattern, handle)
    return kept


@pytest.mark.parametrize("rest", [lambda body: "", lambda body: body[: len(body) // 2]], ids=["lost", "cut"])
def test_an_action_whose_answer_is_lost_is_sent_again_and_done_once(annotator, rest):
    count, revision, ids = points_of(annotator), annotator.data("revision"), []

    def cut(route):
        ids.append(route.request.post_data_json["id"])
        answer = route.fetch()
        route.fulfill(response=answer, body=rest(answer.text()) if len(ids) == 1 else answer.text())

    annotator.page.route("**/actions", cut)
    annotator.click(40, 4)
    annotator.revision_after(1, revision)
    assert len(ids) == 2
    assert ids[0] == ids[1]
    assert points_of(annotator) == count + 1


@pytest.mark.parametrize(("status", "code"), [(401, "no-session"), (408, "too-slow"), (507, "not-stored")])
def test_an_action_waits_for_a_new_session_a_faster_connection_and_space_on_the_disk(annotator, forgiven, status, code):
    forgiven.add(f"status of {status}")
    count, refused = points_of(annotator), json.dumps({"error": {"code": code, "message": "Not now"}})
    annotator.page.route(
        "**/actions", lambda route: route.fulfill(status=status, body=refused, content_type="application/json")
    )
    annotator.click(40, 4)
    annotator.wait("state", "unsaved")
    says = "Open the new address" if code == "no-session" else "Not now"
    expect(annotator.page.locator("#trouble-text")).to_contain_text(says)
    annotator.click(60, 4)
    annotator.page.unroute("**/actions")  # and it is tried again without being asked
    annotator.ready()
    assert points_of(annotator) == count + 2


def test_an_image_that_nobody_else_took_is_held_again(annotator, project, forgiven):
    forgiven.add("status of 409")
    count = points_of(annotator)
    project.leases.give_back(annotator.data("image"), client_of(annotator))
    annotator.act(annotator.click, 40, 4)
    assert points_of(annotator) == count + 1
    expect(annotator.page.locator("#trouble")).not_to_be_visible()


def test_work_that_waited_is_kept_while_another_tab_has_the_image(annotator, project, forgiven):
    forgiven.update({"status of 409", "ERR_"})
    count, number, client = points_of(annotator), annotator.data("image"), client_of(annotator)
    annotator.page.route("**/actions", lambda route: route.abort())
    annotator.click(40, 4)
    annotator.wait("state", "unsaved")
    project.leases.give_back(number, client)
    project.leases.take(number, "11111111-1111-4111-8111-111111111111", "bob")
    annotator.page.unroute("**/actions")  # and it is tried again without being asked
    annotator.page.get_by_role("button", name="Take over").click()
    annotator.ready()
    assert points_of(annotator) == count + 1
    expect(annotator.page.locator("#trouble")).not_to_be_visible()


def test_a_late_answer_shows_no_older_revision(annotator):
    page, count, late = annotator.page, points_of(annotator), []

    def keep(route):
        if not late:
            late.append((route, route.fetch()))

    page.route("**/lease", keep)
    page.evaluate(SHOWN_AGAIN)
    annotator.wait_until(lambda: late)
    annotator.act(annotator.click, 40, 4)
    (route, answer), *_ = late
    with page.expect_response("**/lease"):
        route.fulfill(response=answer)
    annotator.act(annotator.click, 60, 4)
    assert points_of(annotator) == count + 2


def test_a_late_lease_of_an_image_that_was_left_is_let_go(annotator):
    page, number = annotator.page, annotator.data("image")
    other = 12  # which no other test of this module opens
    kept = hold_back(annotator, f"**/images/{number}/lease", "POST")
    with page.expect_request(f"**/images/{number}/lease"):
        page.evaluate(SHOWN_AGAIN)

    def is_let_go(request):
        return request.method == "DELETE" and f"/{number}/" in request.url

    with page.expect_request_finished(is_let_go):
        page.locator(f"[data-image='{other}'] button").click()
        annotator.wait("image", other)
        annotator.ready()
    with page.expect_request_finished(is_let_go):
        kept[0].continue_()
    assert annotator.data("image") == other
    assert annotator.served(number)["holder"] is None
    annotator.act(annotator.click, 40, 4)


def test_an_image_is_held_on_by_one_request_at_a_time(annotator):
    page, number, leases = annotator.page, annotator.data("image"), []
    page.on("request", lambda request: request.url.endswith("/lease") and leases.append(request))
    kept = hold_back(annotator, f"**/images/{number}/lease", "POST")
    with page.expect_request(f"**/images/{number}/lease"):
        page.evaluate(SHOWN_AGAIN)
    for _ in range(3):
        with page.expect_response(
            re.compile(r"/api/v1/images(\?|$)")
        ):  # which is asked for each time, and before the lease
            page.evaluate(SHOWN_AGAIN)
    assert len(leases) == 1
    with page.expect_response(f"**/images/{number}/lease") as answered:
        kept[0].continue_()
    answered.value.finished()
    annotator.served()  # an answer that the page has after the other
    with page.expect_response(f"**/images/{number}/lease"):
        page.evaluate(SHOWN_AGAIN)
    assert len(leases) == 2


def test_try_again_adds_no_timer(open_page, forgiven):
    forgiven.add("ERR_")
    annotator, other = open_page(image=1), 11
    page = annotator.page
    page.evaluate(COUNT_TIMERS)
    page.route("**/lease", lambda route: route.abort())
    page.locator(f"[data-image='{other}'] button").click()
    expect(page.locator("#trouble")).to_be_visible()
    page.unroute("**/lease")
    page.get_by_role("button", name="Try again").click()
    annotator.wait("image", other)
    annotator.ready()
    assert page.locator("body").get_attribute("data-timers") == "0"


def test_nothing_is_proposed_for_an_image_that_is_not_open(open_page):
    annotator, other, actions = open_page(image=1), 10, []  # which no other test of this module opens
    page = annotator.page
    page.evaluate(SKIP, other)
    page.on("request", lambda request: request.url.endswith("/actions") and actions.append(request.url))
    page.locator(f"[data-image='{other}'] button").click()
    annotator.wait("image", other)
    annotator.ready()
    assert annotator.served()["state"] == "skipped"
    assert actions == []
