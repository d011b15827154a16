// The crosshair: what the pointer does, without a pointer.

import { nudged } from "./tools/grabbing.js";

/** @typedef {import("./pointer.js").Sample} Sample */
/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./edits.js").Edits} Edits */
/** @typedef {import("./toolbox.js").Toolbox} Toolbox */

const STROKES = new Set(["box", "brush", "eraser"]);

export class Crosshair {
  /** @param {Stage} stage @param {Edits} edits @param {Toolbox} toolbox @param {HTMLElement} canvas */
  constructor(stage, edits, toolbox, canvas) {
    this.stage = stage;
    this.edits = edits;
    this.toolbox = toolbox;
    this.pressed = false;
    /** @type {import("./types.js").Prompts | null} prompts that are being moved by keys that are still held */
    this.nudging = null;
    document.addEventListener("keyup", () => this.endNudge());
    window.addEventListener("blur", () => this.endNudge());
    canvas.addEventListener("blur", () => this.hide());
    canvas.addEventListener("pointerdown", () => this.hide());
    edits.changes.on(["image"], () => this.keepInside());
  }

  hide() {
    if (this.pressed) this.toolbox.tool.cancel();
    this.pressed = false;
    this.stage.crosshair = null;
    this.stage.redraw("active");
  }

  keepInside() {
    if (!this.edits.draft) this.nudging = null; // it was of another image or slice
    if (this.stage.crosshair) this.stage.crosshair = this.stage.view.inside(this.stage.crosshair);
  }

  /** The crosshair where it is, or in the middle of what is shown. */
  get at() {
    const { view } = this.stage;
    const middle = view.toImage({ x: view.canvas.width / 2, y: view.canvas.height / 2 });
    const { x, y } = view.inside(this.stage.crosshair ?? middle);
    return { x: Math.round(x), y: Math.round(y) };
  }

  /** @param {boolean} background @returns {Sample} */
  sample(background) {
    return { ...this.stage.view.toCanvas(this.at), background, choose: false, kind: "key" };
  }

  /** Move the selected point, or else the crosshair. @param {number} dx @param {number} dy */
  move(dx, dy) {
    const { edits, stage } = this;
    if (edits.selected && !this.stage.crosshair) return this.nudge(dx, dy);
    const { x, y } = this.at;
    stage.crosshair = stage.view.inside({ x: x + dx, y: y + dy });
    stage.view.reveal(stage.crosshair);
    const sample = this.sample(false);
    if (this.pressed) this.toolbox.tool.move(sample);
    else this.toolbox.tool.hover(sample);
    edits.changes.tell("view");
    edits.session.announce(`${stage.crosshair.x}, ${stage.crosshair.y}`);
  }

  /** @param {number} dx @param {number} dy */
  nudge(dx, dy) {
    const { edits, stage } = this;
    if (!edits.selected || !edits.mayChange()) return;
    this.nudging = nudged(edits.prompts, edits.selected, dx, dy, stage.view);
    if (edits.selected !== "box") stage.view.reveal(this.nudging.points[edits.selected.point]);
    edits.move(this.nudging);
    edits.changes.tell("view");
  }

  endNudge() {
    const { nudging } = this;
    this.nudging = null;
    if (nudging) void this.edits.commit(nudging);
  }

  /** Click here; with a tool of strokes, begin one or end it. @param {boolean} background */
  press(background) {
    const { stage, toolbox } = this;
    stage.crosshair = this.at;
    const sample = this.sample(background);
    if (!this.pressed) toolbox.tool.down(sample);
    if (!this.pressed && STROKES.has(toolbox.name)) this.pressed = true;
    else {
      toolbox.tool.up(sample);
      this.pressed = false;
    }
    this.edits.selected = null; // arrows go on moving the crosshair
    stage.redraw("active");
  }

  /** Select the point, or the box, that is so many places further on. @param {number} step */
  select(step) {
    const { edits, stage } = this;
    const { points, box } = edits.prompts;
    const count = points.length + (box ? 1 : 0);
    if (!count) return edits.session.announce("The object has no prompts");
    const { selected } = edits;
    const at = selected === null ? (step > 0 ? -1 : 0) : selected === "box" ? points.length : selected.point;
    const next = (at + step + count) % count;
    stage.crosshair = null;
    edits.selected = next === points.length ? "box" : { point: next };
    const point = points[next];
    const kind = point?.label ? "Foreground" : "Background";
    const says = point ? `${kind} point at ${Math.round(point.x)}, ${Math.round(point.y)}` : "Box";
    edits.session.announce(`${says}, ${next + 1} of ${count}`);
    if (point) stage.view.reveal(point);
    edits.changes.tell("prompts", "view");
  }
}
