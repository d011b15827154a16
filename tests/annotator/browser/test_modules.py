"""The page's modules by themselves: masks, strokes, polygons, outlines and the view."""

from itertools import pairwise

import numpy as np
import pytest

from promise_seg.annotator.bits import MaskBits
from tests.annotator.browser.driving import LONGEST_MS

pytestmark = pytest.mark.slow
W, H = 37, 23

PACK = """async ([width, height, pixels]) => {
    const { Region } = await import('/page/js/region.js');
    const { pack, unpack } = await import('/page/js/masks.js');
    const wire = await pack(new Region(0, 0, width, height, Uint8Array.from(pixels)));
    const again = await unpack(wire);
    return { wire, pixels: [...again.pixels], area: again.area };
}"""
RASTER = """async ([kind, points, radius, width, height]) => {
    const { strokeRegion, polygonRegion } = await import('/page/js/raster.js');
    const size = { width, height };
    const region = kind === 'stroke' ? strokeRegion(points, radius, size) : polygonRegion(points, size);
    return { x: region.x, y: region.y, width: region.width, height: region.height, pixels: [...region.pixels] };
}"""
VIEW = """async () => {
    const { View } = await import('/page/js/view.js');
    const view = new View();
    view.setCanvas(800, 600);
    view.setImage(400, 100);
    const at = { x: 333, y: 222 };
    const before = view.toImage(at);
    for (let step = 0; step < 40; step += 1) view.zoom(step % 3 ? 1.7 : 0.4, at);
    const after = view.toImage(at);
    const back = view.toCanvas(view.toImage({ x: 5, y: 7 }));
    view.pan(1e6, -1e6);
    const corner = view.toCanvas({ x: -0.5, y: view.image.height - 0.5 });
    view.fit();
    return { before, after, back, corner, fitted: view.toCanvas({ x: -0.5, y: -0.5 }), scale: view.scale };
}"""

CLOSED_EARLY = """async () => {
    const { Previews } = await import('/page/js/previews.js');
    const Real = window.WebSocket;
    let made, closed = 0;
    window.WebSocket = class extends EventTarget {
        static CONNECTING = 0;
        constructor() { super(); made = this; this.readyState = 0; }
        close() { closed += 1; }
    };
    const previews = new Previews(() => {});
    previews.open(1);
    previews.begin();
    previews.open(2);
    window.WebSocket = Real;
    const before = closed;
    made.dispatchEvent(new Event('open'));
    return [before, closed];
}"""
ACCEPTED_MEANWHILE = """async () => {
    const { api } = await import('/page/js/api.js');
    const { TrainingPanel } = await import('/page/js/panels/training.js');
    const facts = { state: 'idle', offered: false, result: null, progress: null, model: { id: 1 } };
    const session = { images: [], changes: { on: () => {} } };
    const panel = new TrainingPanel(session);
    const { training } = api, answers = [];
    api.training = () => new Promise((answer) => answers.push(answer));
    const accept = () => { session.images = [...session.images, { state: 'done' }]; panel.heed(); };
    accept();
    accept();
    const asked = answers.length;
    answers[0]({ ...facts, accepted: 1 });
    while (answers.length < 2 && panel.asking) await null;
    answers[1]?.({ ...facts, accepted: 2 });
    while (panel.asking) await null;
    api.training = training;
    return [asked, panel.training.accepted];
}"""


@pytest.fixture(scope="module")
def modules(browser, access):
    """A page from which modules are imported; nothing is annotated on it."""
    context = browser.new_context()
    context.set_default_timeout(LONGEST_MS)
    page = context.new_page()
    page.goto(access.address)
    page.wait_for_selector("html[data-state=ready]", state="attached")
    yield page
    context.close()


def whole(region, width=W, height=H):
    """A region as a mask of the image, (H, W) bool."""
    mask = np.zeros((height, width), bool)
    pixels = np.reshape(region["pixels"], (region["height"], region["width"]))
    mask[region["y"] :, region["x"] :][: region["height"], : region["width"]] = pixels
    return mask


def test_masks_travel_as_the_server_reads_them(modules):
    mask = np.random.default_rng(0).random((H, W)) < 0.4
    mask[:, 0] = True  # nothing to trim at the left
    found = modules.evaluate(PACK, [W, H, mask.astype(int).ravel().tolist()])
    assert found["pixels"] == mask.astype(int).ravel().tolist()
    assert found["area"] == mask.sum()
    assert np.array_equal(MaskBits.from_json(found["wire"]).mask(H, W), mask)
    ours = MaskBits.of(mask).as_json()
    unpacked = modules.evaluate(
        "async (wire) => { const { unpack } = await import('/page/js/masks.js');"
        " const { x, y, width, height, pixels } = await unpack(wire);"
        " return { x, y, width, height, pixels: [...pixels] }; }",
        ours,
    )
    assert np.array_equal(whole(unpacked), mask)


def test_a_stroke_is_what_is_near_its_line(modules):
    line = [(5.3, 4.1), (20.0, 15.5), (-3.0, 18.0)]
    radius = 3.2
    points = [{"x": x, "y": y} for x, y in line]
    found = whole(modules.evaluate(RASTER, ["stroke", points, radius, W, H]))
    columns, rows = np.meshgrid(np.arange(W), np.arange(H))
    expected = np.zeros((H, W), bool)
    for (x0, y0), (x1, y1) in pairwise(line):
        along = ((columns - x0) * (x1 - x0) + (rows - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
        along = along.clip(0, 1)
        expected |= np.hypot(columns - x0 - along * (x1 - x0), rows - y0 - along * (y1 - y0)) <= radius
    assert np.array_equal(found, expected)
    one = whole(modules.evaluate(RASTER, ["stroke", [{"x": 7.4, "y": 8.6}], 0.5, W, H]))
    assert one[9, 7]
    outside = modules.evaluate(RASTER, ["stroke", [{"x": -50, "y": 8}], 3, W, H])
    assert outside["width"] == 0


def test_a_polygon_is_what_lies_inside_by_the_even_odd_rule(modules):
    star = [(18.3, 1.1), (25.4, 21.2), (4.1, 8.3), (33.2, 8.4), (10.6, 21.3)]
    found = whole(modules.evaluate(RASTER, ["polygon", [{"x": x, "y": y} for x, y in star], 0, W, H]))
    columns, rows = np.meshgrid(np.arange(W), np.arange(H))
    expected = np.zeros((H, W), bool)
    for (x0, y0), (x1, y1) in zip(star, [*star[1:], star[0]], strict=True):
        crosses = (y0 <= rows) != (y1 <= rows)
        expected ^= crosses & (columns > x0 + (rows - y0) / (y1 - y0) * (x1 - x0))
    assert 0 < found.sum() < W * H
    assert np.array_equal(found, expected)
    assert not found[13, 18], "the middle of a star is outside by this rule"


def test_the_view_keeps_what_is_under_the_pointer(modules):
    found = modules.evaluate(VIEW)
    assert (found["after"]["x"], found["after"]["y"]) == pytest.approx((found["before"]["x"], found["before"]["y"]))
    assert (found["back"]["x"], found["back"]["y"]) == pytest.approx((5, 7))
    assert found["corner"]["x"] <= 800 - 40, "some of the image stays on the canvas"
    assert found["corner"]["y"] >= 40
    assert found["scale"] == pytest.approx((800 - 48) / 400)
    assert found["fitted"]["x"] == pytest.approx(24)


def test_a_connection_is_closed_once_there_is_one(modules):
    assert modules.evaluate(CLOSED_EARLY) == [0, 1]


def test_an_image_that_is_accepted_while_training_is_asked_for_is_counted(modules):
    assert modules.evaluate(ACCEPTED_MEANWHILE) == [1, 2]
