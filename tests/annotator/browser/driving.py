"""Drive the page by what a person does, and wait for what the page says of itself.

Playwright's ``wait_for_function`` needs a function here: an expression is evaluated at each look, and the page's policy
forbids the second.
"""

import json
import time
from collections.abc import Callable
from typing import Any, Self

from playwright.sync_api import Locator, Page, expect

ROOT = "/api/v1"
LONGEST_MS = 60000
"""What is waited for at most, on however busy a computer."""
DRAWN = """async (layer) => {
    await new Promise(requestAnimationFrame); // what changed before is drawn with this frame
    const canvas = document.getElementById('layer-' + layer);
    const { width, height } = canvas;
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    let count = 0; for (let at = 3; at < data.length; at += 4) count += data[at] > 0; return count; }"""

PLACED = """async () => {
    const [stage, layer, canvas] = ['stage', 'layer-image', 'canvas'].map((id) => document.getElementById(id));
    const drawn = (length) => Math.max(1, Math.round(length * (window.devicePixelRatio || 1)));
    while (layer.width !== drawn(stage.clientWidth) || layer.height !== drawn(stage.clientHeight))
        await new Promise(requestAnimationFrame); // the page has not heard yet of the new size of the stage
    const { left, top } = canvas.getBoundingClientRect();
    return [JSON.parse(document.documentElement.dataset.view), left, top]; }"""


class Annotator:
    """The page of the annotator.

    Args:
        page: where it is open.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.html = page.locator("html")

    def ready(self) -> Self:
        """Wait until everything is saved and drawn."""
        self.page.wait_for_selector("html[data-state=ready]", state="attached", timeout=LONGEST_MS)
        return self

    def data(self, name: str) -> Any:
        """What the page says of itself."""
        text = self.html.get_attribute(f"data-{name}")
        return text if name in ("state", "tool") else json.loads(text or "null")

    def wait(self, name: str, value: object) -> None:
        """Wait until the page says a value of itself."""
        expect(self.html).to_have_attribute(f"data-{name}", _written(value), timeout=LONGEST_MS)

    def wait_for_change(self, name: str, before: object) -> None:
        """Wait until the page says another value of itself."""
        expect(self.html).not_to_have_attribute(f"data-{name}", _written(before), timeout=LONGEST_MS)

    def revision_after(self, steps: int, before: int) -> None:
        """Wait until so many actions are on disk."""
        self.wait("revision", before + steps)
        self.ready()

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Wait until something is so in this process, such as that a request has come."""
        ends = time.monotonic() + LONGEST_MS / 1000
        while not holds():
            assert time.monotonic() < ends
            self.page.wait_for_timeout(10)  # in which what the browser says is heard

    def wait_until_free(self, number: int) -> None:
        """Wait until nobody holds an image: a page lets go of it behind what else it does."""
        script = "async (path) => (await (await fetch(path)).json()).holder === null"
        self.page.wait_for_function(script, arg=f"{ROOT}/images/{number}")

    def served(self, number: int | None = None) -> dict[str, Any]:
        """An image as the server has it: the open one, or another."""
        number = self.data("image") if number is None else number
        answer = self.page.evaluate(
            "async (path) => JSON.parse(await (await fetch(path)).text())", f"{ROOT}/images/{number}"
        )
        return dict(answer)

    def masks(self) -> list[str]:
        """The masks of the open image as the server has them."""
        return [f"{one['mask']['box']}{one['mask']['bits']}" for one in self.served()["list"]]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the image is in the window, once the view fits the size of the stage."""
        (scale, left, top), canvas_left, canvas_top = self.page.evaluate(PLACED)
        return canvas_left + left + (x + 0.5) * scale, canvas_top + top + (y + 0.5) * scale

    def hover(self, x: float, y: float) -> None:
        """Move the mouse to a pixel."""
        self.page.mouse.move(*self.place(x, y))

    def click(self, x: float, y: float, *, button: Any = "left", key: str | None = None) -> None:
        """Click on a pixel, with a key held."""
        if key:
            self.page.keyboard.down(key)
        self.page.mouse.click(*self.place(x, y), button=button)
        if key:
            self.page.keyboard.up(key)

    def double_click(self, x: float, y: float) -> None:
        """Click twice on a pixel, at once for the browser, however long a busy computer takes over it."""
        left, top = self.place(x, y)
        session, now = self.page.context.new_cdp_session(self.page), time.time()
        for count in (1, 2):
            for kind, buttons in (("mousePressed", 1), ("mouseReleased", 0)):
                event = {"type": kind, "button": "left", "buttons": buttons, "clickCount": count, "timestamp": now}
                session.send("Input.dispatchMouseEvent", {"x": left, "y": top, **event})
        session.detach()

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def grab(self, x: float, y: float) -> None:
        """Press the mouse on a pixel and hold it."""
        self.hover(x, y)
        self.page.mouse.down()

    def drag(self, *places: tuple[float, float]) -> None:
        """Press on the first pixel, go through the others and let go."""
        self.grab(*places[0])
        for x, y in places[1:]:
            self.page.mouse.move(*self.place(x, y), steps=3)
        self.page.mouse.up()

    def tool(self, name: str) -> None:
        """Choose a tool by its button."""
        self.page.locator(f"[data-tool={name}]").first.click()
        self.wait("tool", name)

    def act(self, does: Any, *what: Any, steps: int = 1, **how: Any) -> None:
        """Do something and wait until it is on disk."""
        before = self.data("revision")
        does(*what, **how)
        self.revision_after(steps, before)

    def drawn(self, layer: str = "active") -> int:
        """How many pixels of a layer are drawn on, once what the page says of itself is drawn."""
        return int(self.page.evaluate(DRAWN, layer))

    def wait_until_blank(self, layer: str) -> None:
        """Wait until nothing is drawn on a layer."""
        self.page.wait_for_function(f"async (layer) => (await ({DRAWN})(layer)) === 0", arg=layer)

    def objects(self) -> Locator:
        """The rows of the list of objects."""
        return self.page.locator("#object-list .object[data-object]")


def _written(value: object) -> str:
    """A value as the page writes it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
