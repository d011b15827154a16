// Masks on the canvas: a fill, and an outline of a dark and a coloured line, visible on any image.

import { outlineOf } from "../region.js";

/** @typedef {import("../region.js").Region} Region */
/** @typedef {import("../view.js").View} View */
/** @typedef {{colour: string, opacity: number, width: number, dashed?: boolean}} Style opacity of the fill, 0 to 1 */

/** @type {WeakMap<Region, Path2D>} */
const outlines = new WeakMap();
/** @type {WeakMap<Region, {colour: string, picture: HTMLCanvasElement}>} */
const fills = new WeakMap();

/** @param {CanvasRenderingContext2D} context @param {View} view @param {Region} region @param {Style} style */
export function drawMask(context, view, region, style) {
  if (region.isEmpty || !isVisible(view, region)) return;
  if (style.opacity > 0) fill(context, view, region, style);
  outline(context, view, region, style);
}

/** @param {View} view @param {Region} region */
function isVisible(view, region) {
  const from = view.toCanvas({ x: region.x, y: region.y });
  const to = view.toCanvas({ x: region.x + region.width, y: region.y + region.height });
  return to.x >= 0 && to.y >= 0 && from.x <= view.canvas.width && from.y <= view.canvas.height;
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {Region} region @param {Style} style */
function fill(context, view, region, { colour, opacity }) {
  const at = view.toCanvas({ x: region.x - 0.5, y: region.y - 0.5 });
  context.save();
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = view.scale < 1;
  context.drawImage(pictureOf(region, colour), at.x, at.y, region.width * view.scale, region.height * view.scale);
  context.restore();
}

/** @param {Region} region @param {string} colour */
function pictureOf(region, colour) {
  const kept = fills.get(region);
  if (kept?.colour === colour) return kept.picture;
  const picture = document.createElement("canvas");
  picture.width = region.width;
  picture.height = region.height;
  const context = /** @type {CanvasRenderingContext2D} */ (picture.getContext("2d"));
  const data = context.createImageData(region.width, region.height);
  const words = new Uint32Array(data.data.buffer);
  const word = wordOf(colour);
  for (let at = 0; at < words.length; at += 1) words[at] = region.pixels[at] ? word : 0;
  context.putImageData(data, 0, 0);
  fills.set(region, { colour, picture });
  return picture;
}

/** The four bytes of an opaque colour "#rrggbb", in the order of image data. @param {string} colour */
function wordOf(colour) {
  const bytes = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16) || 0);
  return new Uint32Array(Uint8Array.from([...bytes, 255]).buffer)[0];
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {Region} region @param {Style} style */
function outline(context, view, region, { colour, width, dashed = false }) {
  let path = outlines.get(region);
  if (!path) {
    path = outlineOf(region);
    outlines.set(region, path);
  }
  context.save();
  context.translate(view.left + 0.5 * view.scale, view.top + 0.5 * view.scale);
  context.scale(view.scale, view.scale);
  context.lineCap = "square";
  /** @type {[number, string][]} */
  const strokes = [[width + 2, "rgb(0 0 0 / 65%)"], [width + 0.6, "rgb(255 255 255 / 80%)"], [width, colour]];
  for (const [across, stroke] of strokes) {
    if (dashed && stroke === colour) context.setLineDash([4 / view.scale, 4 / view.scale]);
    context.lineWidth = Number(across) / view.scale;
    context.strokeStyle = String(stroke);
    context.stroke(path);
  }
  context.restore();
}
