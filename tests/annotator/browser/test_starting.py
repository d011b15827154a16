"""The start of the page where a browser lacks something."""

import uuid

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow
WITHOUT_UUID = "delete Crypto.prototype.randomUUID"
WITHOUT_RANDOM = "Crypto.prototype.getRandomValues = () => { throw new Error('no <b>random</b> numbers'); }"
UUIDS = """async () => {
    const { newUuid } = await import('/page/js/uuid.js');
    return [newUuid(), newUuid()]; }"""


def test_the_page_works_over_plain_http_from_another_computer(annotator):
    """There, the browser offers no ``crypto.randomUUID``."""
    annotator.page.add_init_script(WITHOUT_UUID)
    annotator.page.reload()
    annotator.ready()
    annotator.act(annotator.click, 40, 4)
    one, other = annotator.page.evaluate(UUIDS)
    assert one != other


def test_ids_are_uuids_of_version_4(annotator):
    for text in annotator.page.evaluate(UUIDS):
        assert str(uuid.UUID(text)) == text
        assert uuid.UUID(text).version == 4


def test_a_page_that_cannot_start_says_why(annotator, forgiven):
    forgiven.add("random")
    annotator.page.add_init_script(WITHOUT_RANDOM)
    annotator.page.reload()
    annotator.wait("state", "failed")
    status = annotator.page.locator("#status")
    expect(status).to_contain_text("The annotator could not start in this browser: no <b>random</b> numbers. Reload")


def test_a_page_whose_scripts_do_not_arrive_says_so(annotator, forgiven):
    forgiven.add("ERR_")
    annotator.page.route("**/js/main.js", lambda route: route.abort())
    annotator.page.reload()
    expect(annotator.page.locator("#status")).to_contain_text("/page/js/main.js could not be loaded")
