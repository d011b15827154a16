// Fill, outline, window and theme.

import { button, input, part } from "../dom.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../display.js").Display} Display */

export class AppearancePanel {
  /** @param {Session} session @param {Display} display */
  constructor(session, display) {
    this.session = session;
    this.display = display;
    this.opacity = input("opacity");
    this.outlineOnly = input("outline-only");
    this.centre = input("window-centre");
    this.width = input("window-width");
    this.opacity.addEventListener("input", () => display.set({ opacity: Number(this.opacity.value) }));
    this.outlineOnly.addEventListener("change", () => display.set({ outlineOnly: this.outlineOnly.checked }));
    for (const slider of [this.centre, this.width]) slider.addEventListener("input", () => this.setWindow());
    button("window-reset").addEventListener("click", () => display.resetWindow());
    button("theme").addEventListener("click", () => {
      session.announce(`Colours: ${display.nextTheme() === "system" ? "as the system's" : display.theme}`);
    });
    session.changes.on(["image", "display"], () => this.show());
    this.show();
  }

  setWindow() {
    const centre = Number(this.centre.value);
    const half = Number(this.width.value) / 2;
    this.display.setWindow(centre - half, centre + half);
  }

  show() {
    const { display } = this;
    this.opacity.value = String(display.opacity);
    part("opacity-text").textContent = `${display.opacity} %`;
    this.outlineOnly.checked = display.outlineOnly;
    const says = { system: "as the system's", dark: "dark", light: "light" }[display.theme];
    button("theme").title = `Colours: ${says}`;
    part("theme-text").textContent = `Colours: ${says}`;
    this.showWindow();
  }

  showWindow() {
    const { image } = this.session;
    const given = image?.window ?? null;
    part("window-options").hidden = !given;
    if (!image || !given) return;
    const { lowest, highest } = given;
    const { low, high } = this.display.windowOf(image) ?? given;
    const span = Math.max(highest - lowest, high - low, 1e-6);
    const step = span > 200 ? 1 : span / 200;
    setRange(this.centre, Math.min(lowest, low), Math.max(highest, high), step, (low + high) / 2);
    setRange(this.width, step, span, step, high - low);
    part("window-centre-text").textContent = short((low + high) / 2);
    part("window-width-text").textContent = short(high - low);
  }
}

/**
 * @param {HTMLInputElement} slider @param {number} least @param {number} most @param {number} step
 * @param {number} value
 */
function setRange(slider, least, most, step, value) {
  Object.assign(slider, { min: String(least), max: String(most), step: String(step) });
  if (document.activeElement !== slider || Math.abs(Number(slider.value) - value) > step) slider.value = String(value);
}

/** @param {number} value */
function short(value) {
  return Math.abs(value) >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toPrecision(3);
}
