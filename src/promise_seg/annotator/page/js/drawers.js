// On narrow screens the panels are drawers, of which one is open at most.

import { button, part } from "./dom.js";

/** @returns {{close: () => void}} */
export function drawers() {
  const pairs = [
    { opener: button("show-images"), panel: part("images") },
    { opener: button("show-objects"), panel: part("side") },
  ];
  const set = (/** @type {typeof pairs[0]} */ { opener, panel }, /** @type {boolean} */ open) => {
    panel.toggleAttribute("data-open", open);
    opener.setAttribute("aria-expanded", String(open));
  };
  const close = () => pairs.forEach((pair) => set(pair, false));
  for (const pair of pairs) {
    pair.opener.addEventListener("click", () => {
      const open = !pair.panel.hasAttribute("data-open");
      close();
      set(pair, open);
      if (open) /** @type {HTMLElement | null} */ (pair.panel.querySelector("button, select, input"))?.focus();
    });
    pair.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !pair.panel.hasAttribute("data-open")) return;
      event.stopPropagation();
      close();
      pair.opener.focus();
    });
  }
  part("canvas").addEventListener("pointerdown", close);
  return { close };
}
