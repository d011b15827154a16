// What every tool answers to, and what it works with.

/** @typedef {import("../pointer.js").Sample} Sample */
/** @typedef {import("../types.js").Point} Point */

/**
 * @typedef {object} Bench what tools work with
 * @property {import("../view.js").View} view
 * @property {import("../session.js").Session} session
 * @property {import("../edits.js").Edits} edits
 * @property {Settings} settings
 * @property {() => void} redraw
 */
/**
 * @typedef {object} Settings
 * @property {number} label of new points
 * @property {number} brushSize image pixels across
 * @property {"add" | "erase"} polygonMode
 */

/** A tool that does nothing: moving the view is the pointer's own doing. */
export class Tool {
  /** @param {Bench} bench */
  constructor(bench) {
    this.bench = bench;
  }

  /** Whether a gesture is under way that Escape would cancel. */
  get busy() {
    return false;
  }

  get cursor() {
    return "grab";
  }

  /** @param {Sample} _at */
  hover(_at) {}
  /** @param {Sample} _at */
  down(_at) {}
  /** @param {Sample} _at */
  move(_at) {}
  /** @param {Sample} _at */
  up(_at) {}
  cancel() {}
  leave() {}
  /** Whether a second press here is a double click. @param {Sample} _at */
  takesDouble(_at) {
    return true;
  }
  /** @param {Sample} _at @returns {boolean} whether the double click was the tool's own */
  double(_at) {
    return false;
  }
  /** Finish what Enter would finish. @returns {boolean} whether there was anything */
  finish() {
    return false;
  }
  /** Take back the last step within the gesture. @returns {boolean} whether there was anything */
  stepBack() {
    return false;
  }
  /** Draw what is under way, in canvas coordinates. @param {CanvasRenderingContext2D} _context */
  draw(_context) {}

  /** @param {Sample} at @returns {Point} */
  inImage(at) {
    const { view } = this.bench;
    const point = view.inside(view.toImage(at));
    return { x: Math.round(point.x * 10) / 10, y: Math.round(point.y * 10) / 10 };
  }
}
