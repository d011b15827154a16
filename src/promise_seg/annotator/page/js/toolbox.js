// The tools, which of them is chosen, and the options of each.

import { button, input, part } from "./dom.js";
import { rove } from "./roving.js";
import { BrushTool, PolygonTool } from "./tools/painting.js";
import { BoxTool, PointTool } from "./tools/prompts.js";
import { Tool } from "./tools/tool.js";

/** @typedef {import("./tools/tool.js").Bench} Bench */
/** @typedef {"point" | "box" | "brush" | "eraser" | "polygon" | "pan"} ToolName */

const SAYS = {
  point: "Points", box: "Box", brush: "Brush", eraser: "Eraser", polygon: "Polygon", pan: "Move the view",
};

export class Toolbox {
  /** @param {Bench} bench @param {HTMLElement} canvas */
  constructor(bench, canvas) {
    this.bench = bench;
    this.canvas = canvas;
    /** @type {Record<ToolName, Tool>} */
    this.tools = {
      point: new PointTool(bench),
      box: new BoxTool(bench),
      brush: new BrushTool(bench, "add"),
      eraser: new BrushTool(bench, "erase"),
      polygon: new PolygonTool(bench),
      pan: new Tool(bench),
    };
    /** @type {ToolName} */
    this.name = "point";
    this.buttons = /** @type {HTMLButtonElement[]} */ ([...part("tools").querySelectorAll("[data-tool]")]);
    for (const one of this.buttons) {
      one.addEventListener("click", () => this.choose(/** @type {ToolName} */ (one.dataset.tool)));
    }
    rove(part("tools"), { items: "button", chosen: "[aria-pressed=true]", shape: "row" });
    this.bindOptions();
    this.place = "";
    bench.session.changes.on(["tool", "prompts"], () => this.show());
    bench.session.changes.on(["image"], () => this.leavePlace());
    this.show();
  }

  get tool() {
    return this.tools[this.name];
  }

  bindOptions() {
    const { settings } = this.bench;
    for (const radio of radios("label")) radio.addEventListener("change", () => this.setLabel(Number(radio.value)));
    for (const radio of radios("polygon")) {
      radio.addEventListener("change", () => (settings.polygonMode = radio.value === "erase" ? "erase" : "add"));
    }
    input("brush-size").addEventListener("input", () => this.setSize(Number(input("brush-size").value)));
    button("close-polygon").addEventListener("click", () => this.tool.finish());
  }

  /** What was begun on another image or slice ends there. */
  leavePlace() {
    const { image, slice } = this.bench.session;
    const place = `${image?.id}/${slice}`;
    if (place !== this.place) this.tool.cancel();
    this.place = place;
  }

  /** @param {ToolName} name */
  choose(name) {
    if (name !== this.name) {
      this.tool.cancel();
      this.tool.leave();
      this.name = name;
      this.bench.session.announce(SAYS[name]);
    }
    this.bench.session.changes.tell("tool", "prompts");
  }

  /** @param {number} label */
  setLabel(label) {
    this.bench.settings.label = label;
    for (const radio of radios("label")) radio.checked = Number(radio.value) === label;
    this.bench.session.announce(label ? "New points are foreground" : "New points are background");
  }

  /** @param {number} size */
  setSize(size) {
    const { settings } = this.bench;
    settings.brushSize = Math.round(Math.min(200, Math.max(1, size)));
    input("brush-size").value = String(settings.brushSize);
    part("brush-size-text").textContent = `${settings.brushSize} px`;
    this.bench.redraw();
  }

  /** @param {number} direction */
  resize(direction) {
    const { brushSize } = this.bench.settings;
    const step = Math.max(1, Math.round(brushSize * 0.15));
    this.setSize(brushSize + direction * step);
    this.bench.session.announce(`Brush of ${this.bench.settings.brushSize} pixels`);
  }

  show() {
    for (const one of this.buttons) one.setAttribute("aria-pressed", String(one.dataset.tool === this.name));
    part("label-options").hidden = this.name !== "point";
    part("point-options").hidden = this.name !== "point" && this.name !== "box";
    part("size-options").hidden = this.name !== "brush" && this.name !== "eraser";
    part("polygon-options").hidden = this.name !== "polygon";
    button("close-polygon").hidden = this.name !== "polygon" || !this.tool.busy;
    document.documentElement.dataset.tool = this.name;
    this.showCursor();
  }

  showCursor() {
    this.canvas.style.cursor = this.tool.cursor;
  }
}

/** @param {string} name */
function radios(name) {
  return /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll(`input[name="${name}"]`)]);
}
