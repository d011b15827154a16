"""Fingers and pens: one finger uses the tool, two pan and pinch, and the hand that holds a pen does nothing."""

import json

import pytest

pytestmark = pytest.mark.slow


class Fingers:
    """Fingers on the page, and a pen.

    Args:
        annotator: the page.
    """

    def __init__(self, annotator):
        self.annotator = annotator
        self.cdp = annotator.page.context.new_cdp_session(annotator.page)

    def send(self, kind, *places, radius=5):
        """Put fingers at places of the image, or lift all of them."""
        self.send_at(kind, *(self.annotator.place(*place) for place in places), radius=radius)

    def send_at(self, kind, *places, radius=5):
        """The same with places of the window."""
        sizes = {"radiusX": radius, "radiusY": radius}
        fingers = [{"x": x, "y": y, "id": number, **sizes} for number, (x, y) in enumerate(places)]
        self.cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    def tap(self, place, radius=5):
        self.send("touchStart", place, radius=radius)
        self.send("touchEnd")

    def pen(self, kind, place, pressure=0.5):
        x, y = self.annotator.place(*place)
        pressed = {"button": "left", "buttons": 1} if kind != "mouseMoved" or pressure else {}
        event = {"type": kind, "x": x, "y": y, "clickCount": 1, "pointerType": "pen", "force": pressure, **pressed}
        self.cdp.send("Input.dispatchMouseEvent", event)


@pytest.fixture
def tablet(open_page):
    """The page on a small tablet."""
    return open_page(768, 1024, has_touch=True)


@pytest.fixture
def fingers(tablet):
    return Fingers(tablet)


def test_a_tap_adds_a_point_and_a_drag_moves_it(tablet, fingers):
    count = len(tablet.data("points"))
    tablet.act(fingers.tap, (10, 10))
    assert tablet.data("points")[count:] == [[10, 10, 1]]
    before = tablet.data("revision")
    fingers.send("touchStart", (10, 10))
    for x in (20, 30, 40):
        fingers.send("touchMove", (x, 12))
    fingers.send("touchEnd")
    tablet.revision_after(1, before)
    assert tablet.data("points")[count:] == [[40, 12, 1]]


def test_two_fingers_pan_and_pinch_and_use_no_tool(tablet, fingers):
    points, revision = tablet.data("points"), tablet.data("revision")
    scale, *_ = tablet.data("view")
    x, y = tablet.place(48, 48)
    for reach in (40, 60, 80, 100):
        view = tablet.data("view")
        fingers.send_at("touchStart" if reach == 40 else "touchMove", (x - reach, y), (x + reach, y))
        if reach > 40:
            tablet.wait_for_change("view", json.dumps(view, separators=(",", ":")))
    fingers.send_at("touchEnd")
    zoomed, *_ = tablet.data("view")
    assert zoomed == pytest.approx(scale * 2.5, rel=0.05)
    tablet.ready()
    assert tablet.data("points") == points
    assert tablet.data("revision") == revision


def test_a_palm_does_nothing(tablet, fingers):
    revision = tablet.data("revision")
    fingers.tap((20, 20), radius=80)
    fingers.pen("mousePressed", (50, 10))
    fingers.tap((80, 80))
    for x in (40, 30):
        fingers.pen("mouseMoved", (x, 10))
    fingers.pen("mouseReleased", (30, 10))
    tablet.revision_after(1, revision)
    *_, last = tablet.data("points")
    assert last == [30, 10, 1]


def test_the_pressure_of_a_pen_changes_no_width(tablet, fingers):
    tablet.press("n", "b")
    masks = []
    for pressure, y in ((0.05, 20), (1.0, 60)):
        before = tablet.data("revision")
        fingers.pen("mousePressed", (20, y), pressure)
        fingers.pen("mouseMoved", (60, y), pressure)
        fingers.pen("mouseReleased", (60, y), pressure)
        tablet.revision_after(1, before)
        masks.append(tablet.data("area"))
        tablet.press("n")
    light, heavy = masks
    assert light > 100
    assert heavy == pytest.approx(light, rel=0.02), "pixels on the very edge may differ: places are rounded"


def test_a_brush_paints_with_a_finger(tablet, fingers):
    tablet.press("n")
    tablet.page.locator("[data-tool=brush]").tap()
    before = tablet.data("revision")
    fingers.send("touchStart", (20, 70))
    fingers.send("touchMove", (50, 70))
    fingers.send("touchMove", (60, 70))
    fingers.send("touchEnd")
    tablet.revision_after(1, before)
    assert tablet.data("area") > 300
