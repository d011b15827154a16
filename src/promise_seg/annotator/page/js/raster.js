// Strokes and polygons as pixels. A pixel belongs to a shape if its centre does.

import { Region } from "./region.js";

/** @typedef {import("./types.js").Point} Point */
/** @typedef {{width: number, height: number}} Size */

const ROUNDING = 1e-3; // px: a place in the window, divided by the zoom, is rounded; edges on pixel centres stay in

/**
 * The pixels within `radius` of a line through points; of one point, at least the pixel under it.
 * @param {Point[]} line @param {number} radius @param {Size} image
 */
export function strokeRegion(line, radius, image) {
  const region = around(line, radius + 0.5, image);
  const reach = Math.max(radius, 0.5);
  line.forEach((point, at) => capsule(region, line[Math.max(0, at - 1)], point, reach));
  if (line.length === 1) set(region, Math.round(line[0].x), Math.round(line[0].y));
  return region;
}

/** The pixels inside a closed polygon, by the even-odd rule. @param {Point[]} corners @param {Size} image */
export function polygonRegion(corners, image) {
  const region = around(corners, 0, image);
  for (let row = 0; row < region.height; row += 1) {
    const crossings = crossingsOf(corners, region.y + row);
    for (let at = 0; at + 1 < crossings.length; at += 2) {
      const from = Math.ceil(crossings[at]);
      const to = Math.floor(crossings[at + 1]);
      for (let x = from; x <= to; x += 1) set(region, x, region.y + row);
    }
  }
  return region;
}

/** Where a row crosses the edges of a polygon, in order. @param {Point[]} corners @param {number} y */
function crossingsOf(corners, y) {
  const crossings = [];
  for (let at = 0; at < corners.length; at += 1) {
    const from = corners[at];
    const to = corners[(at + 1) % corners.length];
    if (from.y <= y !== to.y <= y) crossings.push(from.x + ((y - from.y) / (to.y - from.y)) * (to.x - from.x));
  }
  return crossings.sort((one, other) => one - other);
}

/** An empty region around points. @param {Point[]} points @param {number} margin @param {Size} image */
function around(points, margin, image) {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const left = Math.max(0, Math.floor(least(xs) - margin));
  const top = Math.max(0, Math.floor(least(ys) - margin));
  const right = Math.min(image.width - 1, Math.ceil(greatest(xs) + margin));
  const bottom = Math.min(image.height - 1, Math.ceil(greatest(ys) + margin));
  if (right < left || bottom < top) return Region.empty;
  return new Region(left, top, right - left + 1, bottom - top + 1);
}

/** @param {Region} region @param {Point} from @param {Point} to @param {number} radius */
function capsule(region, from, to, radius) {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const length = dx * dx + dy * dy;
  const top = Math.max(region.y, Math.floor(Math.min(from.y, to.y) - radius));
  const bottom = Math.min(region.y + region.height - 1, Math.ceil(Math.max(from.y, to.y) + radius));
  const left = Math.max(region.x, Math.floor(Math.min(from.x, to.x) - radius));
  const right = Math.min(region.x + region.width - 1, Math.ceil(Math.max(from.x, to.x) + radius));
  for (let y = top; y <= bottom; y += 1) {
    for (let x = left; x <= right; x += 1) {
      const along = length ? Math.min(1, Math.max(0, ((x - from.x) * dx + (y - from.y) * dy) / length)) : 0;
      if (Math.hypot(x - from.x - along * dx, y - from.y - along * dy) <= radius + ROUNDING) set(region, x, y);
    }
  }
}

/** @param {Region} region @param {number} x @param {number} y */
function set(region, x, y) {
  const column = x - region.x;
  const row = y - region.y;
  if (column < 0 || row < 0 || column >= region.width || row >= region.height) return;
  region.pixels[row * region.width + column] = 1;
}

/** @param {number[]} values */
const least = (values) => values.reduce((one, other) => Math.min(one, other), Infinity);
/** @param {number[]} values */
const greatest = (values) => values.reduce((one, other) => Math.max(one, other), -Infinity);
