// Brush, eraser and polygon: what changes the mask itself.

import { polygonRegion, strokeRegion } from "../raster.js";
import { reachOf } from "./grabbing.js";
import { Tool } from "./tool.js";

/** @typedef {import("../pointer.js").Sample} Sample */
/** @typedef {import("../types.js").Point} Point */

const FREEHAND = 6; // CSS pixels between corners

export class BrushTool extends Tool {
  /** @param {import("./tool.js").Bench} bench @param {"add" | "erase"} mode */
  constructor(bench, mode) {
    super(bench);
    this.mode = mode;
    /** @type {Point[]} */
    this.line = [];
    this.inverted = false;
    /** @type {Sample | null} */
    this.at = null;
  }

  get busy() {
    return this.line.length > 0;
  }

  get cursor() {
    return "none";
  }

  /** Shift or the right button do the opposite. @returns {"add" | "erase"} */
  get effect() {
    if (!this.inverted) return this.mode;
    return this.mode === "add" ? "erase" : "add";
  }

  /** The point under the pointer, which may be outside of the image. @param {Sample} at */
  pointAt(at) {
    return this.bench.view.toImage(at);
  }

  /** @param {Sample} at */
  hover(at) {
    this.at = at;
    this.bench.redraw();
  }

  /** @param {Sample} at */
  down(at) {
    this.at = at;
    if (!this.bench.edits.mayChange()) return;
    this.inverted = at.background;
    this.line = [this.pointAt(at)];
    this.bench.redraw();
  }

  /** @param {Sample} at */
  move(at) {
    this.at = at;
    if (this.line.length) this.line.push(this.pointAt(at));
    this.bench.redraw();
  }

  /** @param {Sample} at */
  up(at) {
    this.at = at;
    const { edits, settings, view } = this.bench;
    const { line } = this;
    if (line.length) void edits.stroke(this.effect, strokeRegion(line, settings.brushSize / 2, view.image));
    this.cancel();
  }

  cancel() {
    this.line = [];
    this.bench.session.changes.tell("prompts");
  }

  leave() {
    this.at = null;
    this.bench.redraw();
  }

  /** Quick dabs stay dabs; outside of the image there is nothing to paint. @param {Sample} at */
  takesDouble(at) {
    const { view } = this.bench;
    return !view.contains(view.toImage(at));
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    const { settings, view } = this.bench;
    const width = Math.max(settings.brushSize * view.scale, 2);
    if (this.line.length) {
      context.save();
      context.lineCap = "round";
      context.lineJoin = "round";
      context.lineWidth = width;
      context.strokeStyle = this.effect === "add" ? "rgb(120 220 255 / 55%)" : "rgb(20 20 20 / 60%)";
      context.beginPath();
      this.line.map((point) => view.toCanvas(point)).forEach(({ x, y }) => context.lineTo(x, y));
      if (this.line.length === 1) context.lineTo(view.toCanvas(this.line[0]).x + 0.01, view.toCanvas(this.line[0]).y);
      context.stroke();
      context.restore();
    }
    if (this.at) ring(context, this.at, width / 2);
  }
}

export class PolygonTool extends Tool {
  /** @param {import("./tool.js").Bench} bench */
  constructor(bench) {
    super(bench);
    /** @type {Point[]} */
    this.corners = [];
    /** @type {Sample | null} */
    this.at = null;
    /** @type {Sample | null} where the press, or the last corner of a freehand line, is */
    this.pressed = null;
    this.drawn = false;
  }

  get busy() {
    return this.corners.length > 0;
  }

  get cursor() {
    return "crosshair";
  }

  /** @param {Sample} at */
  hover(at) {
    this.at = at;
    this.bench.redraw();
  }

  /** @param {Sample} at */
  down(at) {
    this.at = at;
    this.pressed = at;
    this.drawn = false;
    this.bench.redraw();
  }

  /** Dragging draws freehand. @param {Sample} at */
  move(at) {
    const { pressed } = this;
    this.at = at;
    if (!pressed || Math.hypot(at.x - pressed.x, at.y - pressed.y) < FREEHAND) return this.bench.redraw();
    if (!this.drawn) this.add(pressed);
    this.drawn = true;
    this.pressed = at;
    this.add(at);
  }

  /** @param {Sample} at */
  up(at) {
    const { pressed } = this;
    this.at = at;
    this.pressed = null;
    if (!pressed) return; // it was cancelled
    if (this.closesAt(at)) this.finish();
    else if (!this.drawn) this.add(at);
  }

  /** @param {Sample} at */
  add(at) {
    if (!this.bench.edits.mayChange()) return;
    this.corners.push(this.inImage(at));
    this.bench.session.changes.tell("tool", "prompts");
  }

  /** @param {Sample} at */
  closesAt(at) {
    if (this.corners.length < 3) return false;
    const first = this.bench.view.toCanvas(this.corners[0]);
    return Math.hypot(first.x - at.x, first.y - at.y) <= reachOf(at.kind);
  }

  double() {
    return this.finish();
  }

  finish() {
    const { corners } = this;
    if (!corners.length) return false;
    this.cancel();
    const { edits, settings, view, session } = this.bench;
    if (corners.length < 3) session.announce("A polygon needs three corners");
    else void edits.stroke(settings.polygonMode, polygonRegion(corners, view.image));
    return true;
  }

  stepBack() {
    const had = this.corners.pop() !== undefined;
    this.bench.session.changes.tell("tool", "prompts");
    return had;
  }

  cancel() {
    this.corners = [];
    this.pressed = null;
    this.bench.session.changes.tell("tool", "prompts");
  }

  leave() {
    this.at = null;
    this.bench.redraw();
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    if (!this.corners.length) return;
    const { view } = this.bench;
    const corners = this.corners.map((point) => view.toCanvas(point));
    context.beginPath();
    corners.forEach(({ x, y }) => context.lineTo(x, y));
    if (this.at) context.lineTo(this.at.x, this.at.y);
    doubled(context);
    for (const [at, { x, y }] of corners.entries()) {
      context.beginPath();
      context.arc(x, y, at === 0 ? 5 : 3, 0, 2 * Math.PI);
      context.fillStyle = "white";
      context.fill();
      doubled(context);
    }
  }
}

/** @param {CanvasRenderingContext2D} context @param {{x: number, y: number}} at @param {number} radius */
function ring(context, at, radius) {
  context.beginPath();
  context.arc(at.x, at.y, Math.max(radius, 1.5), 0, 2 * Math.PI);
  doubled(context);
}

/** A line that is visible on any ground. @param {CanvasRenderingContext2D} context */
function doubled(context) {
  context.lineWidth = 3;
  context.strokeStyle = "rgb(0 0 0 / 70%)";
  context.stroke();
  context.lineWidth = 1.3;
  context.strokeStyle = "white";
  context.stroke();
}
