"""The page as a browser shows it."""

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from promise_seg.reporting.page import render_page
from promise_seg.reporting.sections import report_sections
from tests.reporting.samples import sample_gallery, sample_report

LONGEST_MS = 180_000
"""What is waited for at most, on however busy a computer."""
HOSTILE = '<img src=x onerror="console.error(1)">' + "long" * 60 + ".png"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    report = sample_report(worst_image=HOSTILE)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_page(report.title, "a subtitle", report_sections(report, sample_gallery(report))))
    return path


@pytest.fixture
def open_page(browser, file):
    """Opens the page at a width; at the end nothing must have been said or asked for."""
    complaints, requests, pages = [], [], []

    def open_at(width):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.set_default_timeout(LONGEST_MS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        pages.append(page)
        return page

    yield open_at
    for page in pages:
        page.close()
    assert not complaints
    assert {url for url in requests if not url.startswith("data:image/")} == {file.as_uri()}


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window_and_all_is_there(open_page, width, tmp_path):
    page = open_page(width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.images].map(i => i.naturalWidth)") == [120] * 3
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L"))
    assert pixels.shape[1] == width
    assert pixels.shape[0] > 2000
    for part in np.array_split(pixels, 6):
        assert part.std() > 5
    clipped = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll') &&"
        f" e.getBoundingClientRect().right > {width} + 0.5).length"
    )
    assert clipped == 0


def test_tables_that_are_too_wide_can_be_scrolled_by_keyboard(open_page):
    page = open_page(400)
    region = page.locator(".scroll").first
    region.focus()
    assert page.evaluate("document.activeElement.classList.contains('scroll')")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.scroll').scrollLeft > 0", polling=100)  # it scrolls smoothly


def test_every_chart_has_a_name(open_page):
    page = open_page(1280)
    images = page.locator("svg[role=img]:visible")
    assert images.count() == page.locator("svg:visible").count() == 7
    names = [
        page.evaluate("id => document.getElementById(id).textContent", images.nth(n).get_attribute("aria-labelledby"))
        for n in range(7)
    ]
    assert all(names)
    assert page.get_by_role("img", name="Mean Dice by object size, with intervals (range of group means)").count() == 1
    assert page.get_by_role("figure", name="Losses of training over epochs").count() == 1


def test_charts_of_many_rows_take_the_width_of_a_wide_window(open_page):
    def shares(page):
        column = page.locator("main").bounding_box()["width"]
        charts = page.locator(".chart.wide svg:visible").all()
        return [chart.bounding_box()["width"] / column for chart in charts]

    for width in (1280, 400):
        found = shares(open_page(width))
        assert len(found) == 3  # by size, by device, and the prompt error budget
        assert min(found) > 0.9


def column(table, number):
    return table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()


@pytest.mark.slow
def test_tables_are_sorted_by_click_and_by_keyboard(open_page):
    page = open_page(1280)
    table = page.get_by_role("table", name="Means over 20 test images")
    heads = table.locator("thead th")
    dice = heads.nth(2)
    dice.get_by_role("button").click()
    assert dice.get_attribute("aria-sort") == "ascending"
    assert column(table, 3) == ["0.500"] * 4 + ["12.500"]
    dice.get_by_role("button").press("Enter")
    assert dice.get_attribute("aria-sort") == "descending"
    assert column(table, 3) == ["12.500"] + ["0.500"] * 4
    between = heads.nth(3)
    between.get_by_role("button").focus()
    for order in ("ascending", "descending"):
        page.keyboard.press("Space")
        assert between.get_attribute("aria-sort") == order
        assert column(table, 4)[-1] == "-"  # what has no value stands last
    assert dice.get_attribute("aria-sort") == "none"
    heads.nth(0).get_by_role("button").click()
    assert column(table, 1) == ["Dice", "HD95 (px)", "IoU", "MAE", "S-measure"]


def test_numbers_are_not_sorted_as_words(browser, tmp_path):
    from promise_seg.reporting.blocks import Section, Table

    table = Table(("n", "parameters"), (("a", "1,042,417"), ("b", "9"), ("c", "-"), ("d", "93.7"), ("e", "-2")))
    path = tmp_path / "numbers.html"
    path.write_text(render_page("t", "", [Section("s", (table,))]))
    page = browser.new_page()
    page.set_default_timeout(LONGEST_MS)
    page.goto(path.as_uri())
    button = page.get_by_role("button", name="parameters")
    button.click()
    assert column(page, 2) == ["-2", "9", "93.7", "1,042,417", "-"]
    button.click()
    assert column(page, 2) == ["1,042,417", "93.7", "9", "-2", "-"]
    page.close()


@pytest.mark.slow
def test_the_contents_lead_to_the_sections(open_page):
    page = open_page(1280)
    page.emulate_media(reduced_motion="reduce")  # a click on a page that is still moving may miss the link
    for link in page.get_by_role("navigation").get_by_role("link").all():
        link.click()
        expect(page).to_have_url(f"{page.url.split('#')[0]}{link.get_attribute('href')}", timeout=LONGEST_MS)
        assert page.locator(":target").inner_text() == link.inner_text()


def test_paper_needs_no_contents_and_repeats_headings(open_page):
    page = open_page(1280)
    assert page.get_by_role("navigation").is_visible()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.querySelector('thead')).display") == "table-header-group"
    assert page.evaluate("getComputedStyle(document.querySelector('tr')).breakInside") == "avoid"
    assert page.pdf(format="A4").startswith(b"%PDF")
