// Points and sides of the box that a press takes hold of.

import { clamp } from "../view.js";

/** @typedef {import("../pointer.js").Sample} Sample */
/** @typedef {import("../types.js").Box} Box */
/** @typedef {import("../types.js").Point} Point */
/** @typedef {import("../types.js").Prompts} Prompts */
/** @typedef {import("../view.js").View} View */
/** @typedef {{left: boolean, top: boolean, right: boolean, bottom: boolean}} Sides */
/**
 * @typedef {object} Grip
 * @property {{point: number} | "box"} selects
 * @property {string} cursor
 * @property {(to: Point) => Prompts} moved the prompts once what is held is moved
 */

const REACH = { mouse: 9, pen: 14, touch: 24, key: 9 };

/** @param {string} kind */
export const reachOf = (kind) => REACH[/** @type {keyof typeof REACH} */ (kind)] ?? REACH.mouse;

/**
 * What is held by a press, points before sides.
 * @param {Prompts} prompts @param {View} view @param {Sample} at @returns {Grip | null}
 */
export function gripAt(prompts, view, at) {
  const point = nearestPoint(prompts, view, at);
  if (point !== null) return { selects: { point }, cursor: "grab", moved: (to) => withPoint(prompts, point, to) };
  const sides = prompts.box && sidesAt(prompts.box, view, at);
  if (!sides) return null;
  const moved = (/** @type {Point} */ to) => ({ ...prompts, box: withSides(prompts.box, sides, to) });
  return { selects: "box", cursor: cursorOf(sides), moved };
}

/** @param {Prompts} prompts @param {View} view @param {Sample} at */
function nearestPoint(prompts, view, at) {
  let nearest = null;
  let least = reachOf(at.kind);
  prompts.points.forEach((point, index) => {
    const on = view.toCanvas(point);
    const away = Math.hypot(on.x - at.x, on.y - at.y);
    if (away <= least) {
      least = away;
      nearest = index;
    }
  });
  return /** @type {number | null} */ (nearest);
}

/** @param {Box} box @param {View} view @param {Sample} at @returns {Sides | null} */
function sidesAt(box, view, at) {
  const reach = reachOf(at.kind) * 0.8;
  const from = view.toCanvas({ x: box[0] - 0.5, y: box[1] - 0.5 });
  const to = view.toCanvas({ x: box[2] + 0.5, y: box[3] + 0.5 });
  if (at.x < from.x - reach || at.x > to.x + reach || at.y < from.y - reach || at.y > to.y + reach) return null;
  const right = Math.abs(at.x - to.x) <= reach;
  const bottom = Math.abs(at.y - to.y) <= reach;
  const left = !right && Math.abs(at.x - from.x) <= reach;
  const top = !bottom && Math.abs(at.y - from.y) <= reach;
  return left || top || right || bottom ? { left, top, right, bottom } : null;
}

/** @param {Sides} sides */
function cursorOf({ left, top, right, bottom }) {
  if ((left && top) || (right && bottom)) return "nwse-resize";
  if ((right && top) || (left && bottom)) return "nesw-resize";
  return left || right ? "ew-resize" : "ns-resize";
}

/** @param {Prompts} prompts @param {number} at @param {Point} to @returns {Prompts} */
export function withPoint(prompts, at, to) {
  const points = prompts.points.map((one, index) => (index === at ? { ...one, x: to.x, y: to.y } : one));
  return { points, box: prompts.box };
}

/** @param {Box | null} box @param {Sides} sides @param {Point} to @returns {Box | null} */
function withSides(box, sides, to) {
  if (!box) return null;
  const [left, top, right, bottom] = box;
  return boxOf(
    { x: sides.left ? to.x : left, y: sides.top ? to.y : top },
    { x: sides.right ? to.x : right, y: sides.bottom ? to.y : bottom },
  );
}

/** The box with two corners. @param {Point} one @param {Point} other @returns {Box} */
export function boxOf(one, other) {
  const x = [Math.round(one.x), Math.round(other.x)].sort((a, b) => a - b);
  const y = [Math.round(one.y), Math.round(other.y)].sort((a, b) => a - b);
  return [x[0], y[0], x[1], y[1]];
}

/** Prompts with the selected point, or the whole box, moved within the image. @param {Prompts} prompts
 * @param {{point: number} | "box"} selected @param {number} dx @param {number} dy @param {View} view @returns {Prompts}
 */
export function nudged(prompts, selected, dx, dy, view) {
  if (selected !== "box") {
    const { x, y } = prompts.points[selected.point];
    return withPoint(prompts, selected.point, view.inside({ x: x + dx, y: y + dy }));
  }
  if (!prompts.box) return prompts;
  const [left, top, right, bottom] = prompts.box;
  const across = clamp(dx, -left, view.image.width - 1 - right);
  const down = clamp(dy, -top, view.image.height - 1 - bottom);
  return { points: prompts.points, box: [left + across, top + down, right + across, bottom + down] };
}
