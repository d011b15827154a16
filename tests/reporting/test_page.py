import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from promise_seg.reporting.blocks import Chart, Commands, Facts, Gallery, Picture, Section, Table, Text
from promise_seg.reporting.charts import interval_chart
from promise_seg.reporting.page import render_page

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
PICTURE = "data:image/gif;base64,R0lGODlhAQABAAAAACw="


def page_of(*blocks):
    return render_page("A title", "a subtitle", [Section("Numbers", blocks)])


class Elements(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_a_page_is_whole_in_itself():
    page = page_of(Text("words"))
    elements = Elements(page)
    assert page.startswith("<!doctype html>")
    assert elements.of("html") == [{"lang": "en"}]
    assert not elements.of("link")
    assert [script for script in elements.of("script") if "src" in script] == []
    assert [a["href"] for a in elements.of("nav") or elements.of("a") if "href" in a] == []
    links = [a["href"] for a in elements.of("a")]
    assert links == ["#content", "#section-1"]
    assert {"section-1", "content"} <= {attributes.get("id") for _, attributes in elements.found}
    assert "http" not in page.replace("http://www.w3.org/", "").replace("http-equiv", "")


def test_a_browser_may_run_the_page_s_own_script_and_nothing_else():
    page = page_of(Text("words"))
    policy = next(m["content"] for m in Elements(page).of("meta") if m.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}';" in policy


def test_hostile_words_stay_words():
    chart = interval_chart([(HOSTILE, 0.5, None, HOSTILE)], name=HOSTILE, x_label=HOSTILE, caption=HOSTILE)
    blocks = (
        Text(HOSTILE, "warning"), Table((HOSTILE, "b"), ((HOSTILE, HOSTILE),), HOSTILE), chart,
        Gallery((Picture(PICTURE, HOSTILE, HOSTILE),), HOSTILE), Facts(((HOSTILE, HOSTILE),)), Commands((HOSTILE,)),
    )  # fmt: skip
    elements = Elements(render_page(HOSTILE, HOSTILE, [Section(HOSTILE, blocks)]))
    assert len(elements.of("script")) == 1
    assert [image["src"] for image in elements.of("img")] == [PICTURE]
    assert elements.of("img")[0]["alt"] == HOSTILE
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)


def test_tables_say_what_their_columns_are():
    table = Table(("name", "Dice", "95 %"), (("b", "0.5", "0.4 to 0.6"), ("a", "-", "-")), "Scores")
    elements = Elements(page_of(table))
    heads = elements.of("th")
    assert [head["scope"] for head in heads] == ["col", "col", "col", "row", "row"]
    assert ["data-numeric" in head for head in heads[:3]] == [False, True, True]
    assert [cell["data-key"] for cell in elements.of("td")] == ["0.5", "0.4", "", ""]
    assert elements.of("caption")
    region = next(a for a in elements.of("div") if a.get("role") == "region")
    assert region["tabindex"] == "0"
    assert region["aria-labelledby"] == elements.of("caption")[0]["id"]


def test_a_row_that_does_not_fit_its_head_is_refused():
    with pytest.raises(ValueError, match="3 cells, but the heading has 2"):
        page_of(Table(("a", "b"), (("1", "2", "3"),)))


def test_a_chart_that_stands_twice_has_ids_of_its_own_each_time():
    chart = interval_chart([("a", 0.5, (0.4, 0.6), "own")], name="Dice", x_label="Dice")
    again = interval_chart([("b", 0.5, (0.4, 0.6), "own")], name="Dice", x_label="Dice")
    page = page_of(chart, again, chart)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 6
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_charts_are_images_with_names():
    chart = Chart('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>', "what it shows")
    (svg,) = Elements(page_of(chart)).of("svg")
    assert svg["role"] == "img"
    assert svg["aria-labelledby"] == "chart-1-title"


def test_facts_and_commands():
    page = page_of(Facts((("Seed", "3"),), prominent=True), Facts((("Model", "m"),)), Commands(("one", "two")))
    assert "<dt>Seed</dt><dd>3</dd>" in page
    assert '<dl class="prominent">' in page
    assert "<code>one\ntwo</code>" in page
