"""How long a mask takes to follow the pointer in the annotator: from the browser's pointer event to the drawn mask.

    python -m benchmarks.annotator_latency
    python -m benchmarks.annotator_latency --sams nano --objects 1 100 --moves 100

A real Chromium (Playwright) drags a point of one object over an image on which there are others. Each move is made when
the mask of the one before has been drawn; the time ends with the second frame after the answer, so that it is up to one
frame too long. SAMs other than nano have the sizes of the named one with random weights. Numbers are of a machine that
does nothing else; the server, the model and the browser share it. The processor time of the page's main thread tells
something on a busy machine, too.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.encoder import vit_b
from promise_seg.annotator.client import Client
from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.running import running
from promise_seg.cli.common import quiet_libraries
from promise_seg.model import bare_model
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.kinds import freeze
from promise_seg.sam.loading import NANO, load_sam
from promise_seg.scenes import draw_scene
from promise_seg.workflows.model_ref import ModelRef
from promise_seg.workflows.models import Model

SAMS: dict[str, Callable[[], Backbone]] = {
    NANO: lambda: load_sam(NANO),
    "vit-b": lambda: freeze(vit_b(), "vit-b"),
}
SIDE = 512
CHROMIUM = Path("/usr/bin/chromium")

WATCH = """
window.drawn = [];
let moved = 0;
addEventListener('pointermove', (event) => { moved = event.timeStamp; }, true);
const Plain = WebSocket;
window.WebSocket = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener('message', () => {
      const since = moved;
      requestAnimationFrame(() => requestAnimationFrame(() => window.drawn.push(performance.now() - since)));
    });
  }
};
"""


@contextmanager
def served(sam: Backbone, folder: Path) -> Iterator[str]:
    """Serve one image, and yield the address of the page."""
    (folder / "images").mkdir()
    Image.fromarray(draw_scene([3, 1], SIDE, kind="mucosa").image).save(folder / "images/scene.png")
    ref = ModelRef.resolve("bare")
    model = Model(ref, ref.parts[0], bare_model(sam).eval())
    options = Options(store=folder / "store")
    with Project(model, [folder / "images"], folder / "project", options) as project, running(project) as access:
        yield access.address


def fill(client: Client, objects: int) -> None:
    """Give the image so many objects: small discs, and one with a point that is dragged."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    with client.open(1, take=True) as image:  # as the page may be slow to let it go
        for _ in range(objects - 1):
            across, down = rng.integers(10, SIDE - 10, 2)
            image.add(mask=np.hypot(x - across, y - down) < 8)
        image.add([(SIDE / 2, SIDE / 2)])


def main_thread(page: Page) -> Callable[[], float]:
    """Return what tells the milliseconds of processor time that the page's main thread took so far."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(1000 * float(one["value"]) for one in metrics if one["name"] == "TaskDuration")

    return spent


def drag(page: Page, moves: int) -> tuple[list[float], float]:
    """Drag the point of the newest object.

    Returns:
        The milliseconds of each move, and those that the page's main thread computed for a move in the mean.
    """
    page.wait_for_selector("html[data-state=ready]", state="attached", timeout=600_000)
    page.locator("#object-list .choose").last.click()
    page.locator("[data-tool=point]").first.click()
    view, frame = page.locator("html").get_attribute("data-view"), page.locator("#canvas").bounding_box()
    assert view is not None
    assert frame is not None
    scale, left, top = (float(number) for number in view.strip("[]").split(","))
    x, y = (begin + offset + (SIDE / 2 + 0.5) * scale for begin, offset in ((frame["x"], left), (frame["y"], top)))
    page.mouse.move(x, y)
    page.mouse.down()
    spent, begun = main_thread(page), 0.0
    for step in range(moves + 1):
        begun = spent() if step == 1 else begun  # the first one is for warming up
        angle = 0.3 * step
        known = page.evaluate("window.drawn.length")
        page.mouse.move(x + (20 + step % 7) * np.cos(angle), y + (20 + step % 7) * np.sin(angle))
        page.wait_for_function("(known) => window.drawn.length > known", arg=known, timeout=600_000)
    processor = (spent() - begun) / moves
    took = [float(took) for took in page.evaluate("window.drawn")][-moves:]
    page.mouse.up()
    return took, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sams", nargs="+", choices=SAMS, default=list(SAMS))
    parser.add_argument("--objects", nargs="+", type=int, default=[1, 100])
    parser.add_argument("--moves", type=int, default=60)
    given = parser.parse_args()
    quiet_libraries()
    executable = str(CHROMIUM) if CHROMIUM.exists() else None
    for name in given.sams:
        sam = SAMS[name]()
        for objects in given.objects:
            with (
                tempfile.TemporaryDirectory() as folder,
                served(sam, Path(folder)) as address,
                sync_playwright() as play,
            ):
                browser = play.chromium.launch(executable_path=executable)
                context = browser.new_context(viewport={"width": 1280, "height": 800})
                page = context.new_page()
                page.add_init_script(WATCH)
                page.goto(address)  # the link works once: the client takes the browser's session
                client = Client(address.partition("/?")[0], None, 600.0, None)
                client.cookie = "; ".join(f"{one['name']}={one['value']}" for one in context.cookies())
                page.goto("about:blank")
                fill(client, objects)
                page.goto(f"{client.address}/#image=1")
                took, processor = drag(page, given.moves)
                browser.close()
            ends = np.percentile(took, [50, 95])
            print(
                f"{name}, {objects} object(s): median {ends[0]:.0f} ms, p95 {ends[1]:.0f} ms of {len(took)} moves; "
                f"{processor:.1f} ms of the page's processor time for each",
                flush=True,
            )


if __name__ == "__main__":
    main()
