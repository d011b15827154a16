"""How long the annotator takes to show the next image, and how smoothly a large one is moved and zoomed.

    python -m benchmarks.annotator_views
    python -m benchmarks.annotator_views --images 12 --side 4000 --steps 200

A real Chromium (Playwright) goes through images that were encoded ahead: a view begins with the key for the next image,
and ends with the second frame after its proposal is drawn and saved. The model is the nano SAM with an auto-prompter
that has learned nothing. Then an image of the given side is moved by the middle button and zoomed by the wheel; frames
are those that the browser asks the page for. The server, the model and the browser share the machine, which should do
nothing else.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.annotator_latency import CHROMIUM
from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.running import running
from promise_seg.cli.common import quiet_libraries
from promise_seg.model import ModelConfig, PromiseModel
from promise_seg.prompting.building import make_apm_config
from promise_seg.scenes import draw_scene
from promise_seg.vocabulary import ApmKind, Variant
from promise_seg.workflows.models import Model, load

SIDE = 512
READY = "html[data-state=ready]"
WATCH = """
window.views = [];
let pressed = 0, from = "";
addEventListener("keydown", (event) => {
  pressed = event.timeStamp;
  from = document.documentElement.dataset.image;
}, true);
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const { image, state } = document.documentElement.dataset;
  if (!pressed || image === from || state !== "ready") return;
  const since = pressed;
  pressed = 0;
  requestAnimationFrame(() => requestAnimationFrame(() => window.views.push(performance.now() - since)));
}).observe(document.documentElement, { attributes: true, attributeFilter: ["data-state", "data-image"] }));
"""
COUNT = """() => {
  window.frames_at = [];
  const note = (now) => { window.frames_at.push(now); window.frame = requestAnimationFrame(note); };
  window.frame = requestAnimationFrame(note);
}"""
COUNTED = "() => { cancelAnimationFrame(window.frame); return window.frames_at; }"


def proposing() -> Model:
    """Return the nano SAM with an auto-prompter that has learned nothing, always the same."""
    bare = load("bare", device="cpu")
    assert isinstance(bare, Model)
    torch.manual_seed(0)
    config = ModelConfig(
        variant=Variant.APM, apm=make_apm_config(ApmKind.HEATMAP), sam=bare.sam.name, sam_sha256=bare.sam.sha256,
        image_size=bare.sam.image_size, promise_seg_version="0",
    )  # fmt: skip
    return Model(bare.ref, bare.part, PromiseModel(config, bare.sam).eval())


def views(page: Page, project: Project, images: int) -> list[float]:
    """Return the milliseconds that each further image takes to be shown."""
    page.wait_for_selector(READY, state="attached", timeout=600_000)
    for number in range(images):
        while sum(one["ready"] for one in project.images("name")) < min(number + 2, images + 1):
            time.sleep(0.05)
        page.keyboard.press("f")
        page.wait_for_function("(count) => window.views.length > count", arg=number, timeout=600_000)
    return [float(took) for took in page.evaluate("window.views")][1:]  # the first one is for warming up


def moved(page: Page, steps: int) -> tuple[list[float], list[float]]:
    """Move and zoom the open image, and return the milliseconds between frames of each."""
    page.wait_for_selector(READY, state="attached", timeout=600_000)
    frame = page.locator("#canvas").bounding_box()
    assert frame is not None
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.mouse.move(x, y)
    for _ in range(5):
        page.mouse.wheel(0, -200)
    found = []
    for what in ("move", "zoom"):
        page.evaluate(COUNT)
        if what == "move":
            page.mouse.down(button="middle")
        for step in range(steps):
            if what == "move":
                page.mouse.move(x + 150 * np.cos(step / 10), y + 150 * np.sin(step / 10))
            else:
                page.mouse.wheel(0, 60 if step // 20 % 2 else -60)
        if what == "move":
            page.mouse.up(button="middle")
        found.append([float(took) for took in np.diff(page.evaluate(COUNTED))])
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12, help="how many are gone to, one after the other")
    parser.add_argument("--side", type=int, default=4000, help="of the large image, in pixels")
    parser.add_argument("--steps", type=int, default=200, help="events of moving and of zooming")
    given = parser.parse_args()
    quiet_libraries()
    executable = str(CHROMIUM) if CHROMIUM.exists() else None
    with tempfile.TemporaryDirectory() as place, sync_playwright() as play:
        folder = Path(place)
        for name in ("images", "large"):
            (folder / name).mkdir()
        for number in range(given.images + 1):
            Image.fromarray(draw_scene([3, number], SIDE, kind="mucosa").image).save(folder / f"images/{number}.png")
        scene = Image.fromarray(draw_scene([3, 0], SIDE, kind="mucosa").image)
        scene.resize((given.side, given.side)).save(folder / "large/large.png")
        browser, model = play.chromium.launch(executable_path=executable), proposing()
        for name in ("images", "large"):
            options = Options(store=folder / "store")
            with Project(model, [folder / name], folder / f"p-{name}", options) as project, running(project) as access:
                page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
                page.add_init_script(WATCH)
                page.goto(access.address)
                if name == "images":
                    took = views(page, project, given.images)
                    ends = np.percentile(took, [50, 95])
                    print(f"next image: median {ends[0]:.0f} ms, p95 {ends[1]:.0f} ms of {len(took)}", flush=True)
                else:
                    for what, frames in zip(("moving", "zooming"), moved(page, given.steps), strict=True):
                        ends = 1000 / np.percentile(frames, [50, 95])
                        print(
                            f"{what} {given.side} x {given.side} px: {1000 / np.mean(frames):.0f} frames a second, "
                            f"median {ends[0]:.0f}, slowest 5 % {ends[1]:.0f}, of {len(frames)} frames",
                            flush=True,
                        )
                page.context.close()
        browser.close()


if __name__ == "__main__":
    main()
