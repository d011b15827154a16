"""Nothing that is not needed for the first view of an image is waited for, or asked one after the other."""

import pytest

from promise_seg.storage.files import write_whole

pytestmark = pytest.mark.slow

ARRIVED = "(path) => performance.getEntriesByType('resource').some((one) => one.name.endsWith(path))"
PLACED = """(list) => { window.placed = 0;
    new MutationObserver((records) => {
        for (const one of records) window.placed += one.addedNodes.length;
    }).observe(document.querySelector(list), { childList: true }); }"""


@pytest.fixture(scope="module")
def looked_ahead(project):
    """The project, all images of which were looked at ahead."""
    for number in project.catalogue.numbers:
        project.segmenter.look_ahead(number, 0)
    return project


@pytest.fixture
def at(looked_ahead, open_page):
    """The page at one image, with the requests that it makes from then on."""

    def opened(image):
        annotator, asked = open_page(image=image), []
        annotator.page.on("request", lambda request: asked.append((request.method, request.url.partition("/v1/")[2])))
        return annotator, asked

    return opened


def beside(project, image, step):
    """The image that is so many places further on in the list, which has no end here."""
    order = [one["id"] for one in project.images("trust")]
    return order[(order.index(image) + step) % len(order)]


def choose(annotator, number):
    annotator.page.locator(f"li[data-image='{number}'] button").click()


def arrive(annotator, number):
    annotator.wait("image", number)
    annotator.ready()


def held_back(annotator, pattern, method):
    """Keep requests of a kind from going on; returns where they are put."""
    kept = []
    annotator.page.route(
        pattern, lambda route: kept.append(route) if route.request.method == method else route.fallback()
    )
    return kept


def test_one_answer_has_an_image_with_its_proposal(at, looked_ahead):
    annotator, asked = at(1)
    other = beside(looked_ahead, 1, 4)
    choose(annotator, other)
    arrive(annotator, other)
    assert annotator.data("objects") >= 1
    assert annotator.drawn() > 500
    assert [path for method, path in asked if method == "POST"] == [f"images/{other}/lease"]


def test_pixels_are_asked_for_before_the_image_is_held(at, looked_ahead):
    annotator, _ = at(2)
    other = beside(looked_ahead, 2, 4)
    kept = held_back(annotator, f"**/images/{other}/lease", "POST")
    with annotator.page.expect_response(f"**/images/{other}/slices/0/pixels"):
        choose(annotator, other)
    annotator.wait_until(lambda: kept)
    kept[0].continue_()
    arrive(annotator, other)


def test_an_image_is_shown_before_the_one_before_is_let_go(at, looked_ahead):
    annotator, _ = at(3)
    other = beside(looked_ahead, 3, 4)
    kept = held_back(annotator, "**/images/3/lease", "DELETE")
    choose(annotator, other)
    arrive(annotator, other)
    annotator.wait_until(lambda: kept)
    assert len(kept) == 1
    choose(annotator, 3)  # which must not be let go once it is held again
    kept[0].continue_()
    arrive(annotator, 3)
    annotator.act(annotator.click, 40, 4)


def test_the_pixels_of_the_next_image_are_there_before_it_is_asked_for(at, looked_ahead):
    first, other = (one["id"] for one in looked_ahead.images("trust")[:2])
    annotator, asked = at(first)
    pixels = f"images/{other}/slices/0/pixels"
    annotator.page.wait_for_function(ARRIVED, arg=pixels)
    asked.clear()
    annotator.press("f")
    arrive(annotator, other)
    assert pixels not in [path for _, path in asked]
    assert annotator.drawn("image") > 500


def test_the_picture_of_a_file_that_changed_since_is_not_shown(at, looked_ahead, forgiven):
    forgiven.add("status of 409")
    annotator, _ = at(5)
    other = beside(looked_ahead, 5, 4)
    choose(annotator, other)
    arrive(annotator, other)
    choose(annotator, 5)
    arrive(annotator, 5)
    path = looked_ahead.catalogue.image(other).input.path
    content = path.read_bytes()
    write_whole(path, lambda to: to.write_bytes(looked_ahead.catalogue.image(5).input.path.read_bytes()))
    try:
        choose(annotator, other)
        annotator.page.get_by_text("was changed after it had been added to the project").wait_for()
        annotator.wait_until_blank("image")
    finally:
        write_whole(path, lambda to: to.write_bytes(content))


def test_the_picture_of_one_image_is_not_shown_under_the_objects_of_another(at, looked_ahead):
    annotator, _ = at(4)
    other = beside(looked_ahead, 4, 4)
    kept = held_back(annotator, f"**/images/{other}/slices/0/pixels", "GET")
    choose(annotator, other)
    annotator.wait("image", other)
    annotator.wait_until_blank("image")
    annotator.wait_until(lambda: kept)
    kept[0].continue_()
    arrive(annotator, other)
    assert annotator.drawn("image") > 500


@pytest.mark.parametrize("list_", ["#image-list", "#object-list"])
def test_what_did_not_change_in_a_list_stays_where_it_is(at, list_):
    annotator, _ = at(6)
    for place in ((5, 5), (90, 5), (5, 90)):
        annotator.press("n")
        annotator.act(annotator.click, *place)
    annotator.page.evaluate(PLACED, list_)
    annotator.act(annotator.click, 50, 90)
    with annotator.page.expect_response("**/images?order=trust"):
        annotator.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    annotator.served()  # an answer that the page has after the other
    assert annotator.page.evaluate("window.placed") == 0
    annotator.act(annotator.page.locator("[data-key^=hidden]").last.click)
    assert annotator.page.evaluate("window.placed") == (0 if list_ == "#image-list" else 1)
