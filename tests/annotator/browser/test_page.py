"""The page at every width and in both themes, what is shown and how one looks around."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("width", [1920, 1280, 800, 400])
def test_nothing_is_wider_than_the_window(open_page, width):
    annotator = open_page(width, image=1)
    assert annotator.page.evaluate("document.documentElement.scrollWidth") == width
    frame = annotator.page.locator("#canvas").bounding_box()
    assert frame["width"] >= min(width, 300)
    assert frame["height"] >= 300
    for name in ("tool", "show-keys", "theme"):
        expect(annotator.page.locator(f"#{name}, [data-{name}=point]").first).to_be_in_viewport()


def test_everything_is_within_reach_at_400_px(open_page):
    annotator = open_page(400)
    page, number = annotator.page, annotator.data("image")
    annotator.act(annotator.click, 10, 10)
    page.locator("#show-objects").click()
    expect(page.locator("#object-list")).to_be_in_viewport()
    annotator.act(page.locator("[data-key^=locked]").click)
    assert annotator.served()["list"][0]["locked"]
    page.keyboard.press("Escape")
    expect(page.locator("#side")).not_to_be_visible()
    page.locator("#show-images").click()
    page.locator(f"[data-image='{number % 12 + 1}'] button").click()
    annotator.wait_for_change("image", number)
    expect(page.locator("#images")).not_to_be_visible()
    annotator.ready()
    page.locator("#show-objects").click()
    page.locator("#accept-image").click()
    annotator.wait_for_change("image", number % 12 + 1)
    annotator.ready()


@pytest.mark.parametrize("height", [800, 560])
def test_an_image_is_accepted_without_a_drawer_at_400_px(open_page, height):
    page = (annotator := open_page(400, height)).page
    number, frame = annotator.data("image"), page.locator("#stage").bounding_box()
    for name in ("accept-object", "accept-image", "skip-image"):
        button = page.locator(f"#{name}").bounding_box()
        assert button["y"] >= frame["y"] + frame["height"]
        assert button["y"] + button["height"] <= page.locator(".status").bounding_box()["y"]
        assert page.locator(f"#{name}").evaluate("(one) => one.scrollWidth <= one.clientWidth")
    page.locator("[data-tool=brush]").click()
    automatic = page.locator("#automatic").bounding_box()
    assert automatic["x"] + automatic["width"] <= 400
    page.locator("#show-objects").click()
    side = page.locator("#side").bounding_box()
    assert side["y"] + side["height"] <= page.locator("#accept-image").bounding_box()["y"]
    page.keyboard.press("Escape")
    page.locator("#accept-image").click()
    annotator.wait_for_change("image", number)
    annotator.ready()
    assert annotator.served(number)["state"] == "done"


def test_the_theme_is_the_systems_or_the_buttons(open_page):
    annotator = open_page(image=1, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = annotator.page.evaluate(ground)
    annotator.page.locator("#theme").click()
    assert annotator.page.evaluate(ground) == dark
    annotator.page.locator("#theme").click()
    light = annotator.page.evaluate(ground)
    assert light != dark
    annotator.page.reload()
    annotator.ready()
    assert annotator.page.evaluate(ground) == light


def test_the_wheel_zooms_at_the_pointer_and_a_double_click_fits(annotator):
    page = annotator.page
    fitted, revision, points = annotator.data("view"), annotator.data("revision"), annotator.data("points")
    annotator.hover(20, 30)
    place = annotator.place(20, 30)
    page.mouse.wheel(0, -300)
    expect(page.locator("#where")).not_to_contain_text(f"{round(fitted[0] * 100)} %")
    annotator.hover(20, 30)
    assert annotator.place(20, 30) == pytest.approx(place, abs=0.5)
    scale, left, top = annotator.data("view")
    assert scale > fitted[0]
    page.mouse.down(button="middle")
    page.mouse.move(place[0] + 40, place[1] + 25)
    page.mouse.up(button="middle")
    assert annotator.data("view") == pytest.approx([scale, left + 40, top + 25], abs=0.5)
    page.keyboard.down("Space")
    page.mouse.down()
    page.mouse.move(place[0], place[1])
    page.mouse.up()
    page.keyboard.up("Space")
    assert annotator.data("view") == pytest.approx([scale, left, top], abs=0.5)
    annotator.double_click(20, 30)
    annotator.revision_after(2, revision)  # the first click's point, and its undoing
    assert annotator.data("view") == pytest.approx(fitted)
    assert annotator.data("points") == points


def test_space_shows_the_bare_image(annotator):
    annotator.page.locator("#canvas").focus()
    assert annotator.drawn() > 500
    annotator.page.keyboard.down("Space")
    annotator.page.evaluate("new Promise(requestAnimationFrame)")
    annotator.page.evaluate("new Promise(requestAnimationFrame)")
    assert annotator.drawn() == 0
    annotator.page.keyboard.up("Space")
    annotator.page.evaluate("new Promise(requestAnimationFrame)")
    annotator.page.evaluate("new Promise(requestAnimationFrame)")
    assert annotator.drawn() > 500


def test_unsaved_work_is_said_and_sent_again(open_page, forgiven):
    forgiven.add("ERR_")
    annotator = open_page()
    count = len(annotator.data("points"))
    annotator.page.route("**/actions", lambda route: route.abort())
    annotator.click(40, 4)
    expect(annotator.page.locator("#trouble")).to_be_visible()
    expect(annotator.page.locator("#saved-text")).to_have_text("Not saved")
    annotator.click(60, 4)
    annotator.page.get_by_role("button", name="Try again").click()
    expect(annotator.page.locator("#trouble")).to_be_visible()
    annotator.page.unroute("**/actions")  # and it is tried again without being asked
    annotator.ready()
    expect(annotator.page.locator("#trouble")).not_to_be_visible()
    assert len(annotator.served()["list"][0]["points"]) == count + 2


def test_names_are_text_whatever_is_in_them(open_page):
    annotator, name = open_page(image=1), "<img src=x onerror=alert(1)>"
    page = annotator.page

    def named(route):
        answer = route.fetch()
        facts = answer.json()
        holder = {"user": name, "since": "2026-01-01T12:00:00+00:00"}
        for one in facts.get("images", []):
            one.update(name=name, holder=holder)
        if "classes" in facts:
            facts |= {"name": name, "unreadable": [{"name": name, "reason": f"{name}: not an image"}]}
            facts["classes"][0]["name"] = name
        route.fulfill(response=answer, json=facts)

    page.route(re.compile(r"/api/v1/(images(\?.*)?|project)$"), named)
    page.reload()
    annotator.ready()
    for place in ("#project", "#image-list li:first-child .name", "#image-list .unreadable .name"):
        expect(page.locator(place)).to_have_text(name)
    assert name in page.locator("#object-list select").first.inner_text()
    assert page.locator("[onerror]").count() == 0
    page.unroute_all(behavior="wait")  # a request that is still on its way would end after the page
