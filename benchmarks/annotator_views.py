"""How long the annotator takes to show the next image, and how smoothly a large one is moved and zoomed.

    python -m benchmarks.annotator_views
    python -m benchmarks.annotator_views --images 12 --side 4000 --steps 200

A real Chromium (Playwright) goes through images that were all encoded ahead: a view begins with the key for the next
image, and ends with the second frame after its proposal is drawn and saved. Requests in turns are those before the
drawing of which each began after the one before was answered. The model is the nano SAM with an auto-prompter that has
learned nothing. Then an image of the given side is moved by the middle button and zoomed by the wheel; frames are those
that the browser asks the page for. The server, the model and the browser share the machine, which should do nothing
else; the number of requests and the processor time tell something on a busy machine, too.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.annotator_latency import CHROMIUM, main_thread
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
performance.setResourceTimingBufferSize(100000);
let pressed = 0, from = "";
addEventListener("keydown", (event) => {
  pressed = event.timeStamp;
  from = document.documentElement.dataset.image;
}, true);
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const { image, state } = document.documentElement.dataset;
  if (!pressed || image === from || state !== "ready") return;
  const since = pressed, ready = performance.now();
  pressed = 0;
  requestAnimationFrame(() => requestAnimationFrame(() => window.views.push([since, ready, performance.now()])));
}).observe(document.documentElement, { attributes: true, attributeFilter: ["data-state", "data-image"] }));
"""
REQUESTS = """(views) => {
  const all = performance.getEntriesByType("resource").filter((one) => one.initiatorType === "fetch");
  return views.map(([from, to]) => all.filter((one) => one.startTime >= from && one.responseEnd <= to)
    .map((one) => [one.startTime, one.responseEnd]));
}"""
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


def in_turns(requests: list[list[float]]) -> int:
    """Return how many of the requests, with their times from and to, there are one after the other at most."""
    before: list[tuple[float, int]] = []
    for begun, ended in sorted(requests):
        before.append((ended, 1 + max((count for end, count in before if end <= begun), default=0)))
    return max((count for _, count in before), default=0)


def views(page: Page, project: Project, images: int) -> tuple[list[float], float, float]:
    """Go through images.

    Returns:
        The milliseconds that each further image takes to be shown, and the medians of the processor time of the page's
        main thread in milliseconds, and of requests in turns.
    """
    while not all(one["ready"] for one in project.images("name")):
        time.sleep(0.05)
    page.reload()  # now that the order of the list is known
    page.wait_for_selector(READY, state="attached", timeout=600_000)
    spent, processor = main_thread(page), []
    for number in range(images):
        page.wait_for_timeout(500)  # for which an image is looked at
        begun = spent()
        page.keyboard.press("f")
        page.wait_for_function("(count) => window.views.length > count", arg=number, timeout=600_000)
        processor.append(spent() - begun)
    shown = page.evaluate("window.views")[1:]  # the first one is for warming up
    turns = [in_turns(requests) for requests in page.evaluate(REQUESTS, shown)]
    return [end - begin for begin, _, end in shown], float(np.median(processor[1:])), float(np.median(turns))


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
                    took, processor, turns = views(page, project, given.images)
                    ends = np.percentile(took, [50, 95])
                    print(
                        f"next image: median {ends[0]:.0f} ms, p95 {ends[1]:.0f} ms of {len(took)}; "
                        f"{turns:.0f} request(s) in turns, {processor:.0f} ms of the page's processor time",
                        flush=True,
                    )
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
