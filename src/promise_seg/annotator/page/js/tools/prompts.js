// Points and boxes: both tools move whatever is pressed on; elsewhere one adds a point and the other draws a box.

import { boxOf, gripAt } from "./grabbing.js";
import { Tool } from "./tool.js";

/** @typedef {import("../pointer.js").Sample} Sample */
/** @typedef {import("../types.js").Point} Point */
/** @typedef {import("../types.js").Prompts} Prompts */
/** @typedef {import("./grabbing.js").Grip} Grip */
/** @typedef {{grip: Grip, start: Sample, moved: boolean, adds: boolean}} Drag */

const STILL = 3; // CSS pixels

class PromptTool extends Tool {
  /** @param {import("./tool.js").Bench} bench */
  constructor(bench) {
    super(bench);
    /** @type {Drag | null} */
    this.drag = null;
    this.over = "";
    /** @type {Prompts | null} the prompts before the last tap, if it added a point */
    this.before = null;
    /** @type {Promise<boolean>} whether the last tap became a step */
    this.sent = Promise.resolve(false);
  }

  get busy() {
    return this.drag !== null;
  }

  get cursor() {
    return this.over || "crosshair";
  }

  /** What a press begins where nothing is held. @param {Sample} _at @param {Prompts} _prompts @returns {Grip | null} */
  begins(_at, _prompts) {
    return null;
  }

  /** @param {Sample} at */
  hover(at) {
    const { edits, view } = this.bench;
    this.over = gripAt(edits.prompts, view, at)?.cursor ?? "";
  }

  /** @param {Sample} at */
  down(at) {
    const { edits, view } = this.bench;
    this.before = null;
    edits.endHover();
    const held = gripAt(edits.prompts, view, at);
    if (!edits.mayChange()) return;
    const grip = held ?? (view.contains(view.toImage(at)) ? this.begins(at, edits.prompts) : null);
    edits.selected = grip?.selects ?? null;
    this.drag = grip && { grip, start: at, moved: false, adds: !held };
    this.bench.redraw();
  }

  /** @param {Sample} at */
  move(at) {
    const { drag } = this;
    if (!drag) return;
    if (!drag.moved && Math.hypot(at.x - drag.start.x, at.y - drag.start.y) < STILL) return;
    drag.moved = true;
    this.bench.edits.move(drag.grip.moved(this.inImage(at)));
  }

  /** @param {Sample} at */
  up(at) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    const { edits } = this.bench;
    if (drag.moved) void edits.commit(drag.grip.moved(this.inImage(at)));
    else if (drag.adds) this.tapped(drag);
    this.bench.session.changes.tell("prompts");
  }

  /** @param {Drag} _drag */
  tapped(_drag) {}

  cancel() {
    const { drag } = this;
    this.drag = null;
    this.before = null;
    if (drag) this.bench.edits.forget();
  }

  leave() {
    this.over = "";
    this.bench.edits.endHover();
  }
}

export class PointTool extends PromptTool {
  /** @param {Sample} at @returns {import("../types.js").PromptPoint} */
  pointAt(at) {
    const { label } = this.bench.settings;
    return { ...this.inImage(at), label: at.background ? 1 - label : label };
  }

  /** @param {Sample} at @param {Prompts} prompts @returns {Grip} */
  begins(at, prompts) {
    const { points, box } = prompts;
    const { label } = this.pointAt(at);
    const moved = (/** @type {Point} */ to) => ({ points: [...points, { ...to, label }], box });
    return { selects: { point: points.length }, cursor: "", moved };
  }

  /** @param {Sample} at */
  hover(at) {
    super.hover(at);
    const { edits, session, view } = this.bench;
    const inside = view.contains(view.toImage(at));
    if (this.over || !inside || !session.mayEdit || session.activeObject?.locked) return edits.endHover();
    const { points, box } = edits.prompts;
    edits.hover({ points: [...points, this.pointAt(at)], box });
  }

  /** @param {Drag} drag */
  tapped(drag) {
    const { edits } = this.bench;
    this.before = edits.prompts;
    this.sent = edits.commit(drag.grip.moved(this.inImage(drag.start)));
  }

  /** A double click is not two points: the step of its first click is undone, if there was one. */
  double() {
    const { edits, session } = this.bench;
    if (!this.before) return false;
    if (edits.postponing) void edits.commit(this.before);
    else void this.sent.then((isStep) => (isStep ? session.act({ type: "undo" }) : null));
    edits.selected = null;
    this.before = null;
    return false;
  }
}

export class BoxTool extends PromptTool {
  /** @param {Sample} at @param {Prompts} prompts @returns {Grip} */
  begins(at, prompts) {
    const corner = this.inImage(at);
    const moved = (/** @type {Point} */ to) => ({ points: prompts.points, box: boxOf(corner, to) });
    return { selects: "box", cursor: "", moved };
  }

  /** A tap draws no box. */
  tapped() {
    this.bench.edits.selected = null;
  }
}
