// A mask as the pixels of its box: objects of any number cost what they cover, not what the image covers.

/** @typedef {import("./types.js").Point} Point */

/** One byte per pixel, 1 inside the mask. */
export class Region {
  /** @param {number} x @param {number} y @param {number} width @param {number} height @param {Uint8Array} [pixels] */
  constructor(x, y, width, height, pixels) {
    this.x = x;
    this.y = y;
    this.width = width;
    this.height = height;
    this.pixels = pixels ?? new Uint8Array(width * height);
    this.counted = -1; // the area, once it was asked for; nothing changes afterwards
  }

  static get empty() {
    return new Region(0, 0, 0, 0);
  }

  get isEmpty() {
    return this.width === 0 || this.height === 0;
  }

  /** @param {Point} point image coordinates */
  has(point) {
    const x = Math.round(point.x) - this.x;
    const y = Math.round(point.y) - this.y;
    return x >= 0 && y >= 0 && x < this.width && y < this.height && this.pixels[y * this.width + x] === 1;
  }

  /** @param {Region} part which lies inside */
  copy(part) {
    for (let row = 0; row < part.height; row += 1) {
      const from = part.pixels.subarray(row * part.width, (row + 1) * part.width);
      this.pixels.set(from, (part.y - this.y + row) * this.width + part.x - this.x);
    }
  }

  get area() {
    if (this.counted < 0) this.counted = this.pixels.reduce((sum, pixel) => sum + pixel, 0);
    return this.counted;
  }
}

/**
 * The outline along the edges of pixels, in image coordinates: runs of edges between a pixel inside and one outside.
 * @param {Region} region @returns {Path2D}
 */
export function outlineOf(region) {
  const path = new Path2D();
  const { width, height, pixels } = region;
  const left = region.x - 0.5;
  const top = region.y - 0.5;
  for (let y = 0; y <= height; y += 1) {
    let from = -1;
    for (let x = 0; x <= width; x += 1) {
      const above = x < width && y > 0 ? pixels[(y - 1) * width + x] : 0;
      const below = x < width && y < height ? pixels[y * width + x] : 0;
      if (above !== below) from = from < 0 ? x : from;
      else if (from >= 0) {
        path.moveTo(left + from, top + y);
        path.lineTo(left + x, top + y);
        from = -1;
      }
    }
  }
  addSides(path, region);
  return path;
}

/**
 * Add the upright edges, going through the pixels row by row as they are stored.
 * @param {Path2D} path @param {Region} region
 */
function addSides(path, { x: left, y: top, width, height, pixels }) {
  const begun = new Int32Array(width + 1).fill(-1); // the row where the edge left of each column begins
  for (let y = 0; y <= height; y += 1) {
    for (let x = 0; x <= width; x += 1) {
      const before = y < height && x > 0 ? pixels[y * width + x - 1] : 0;
      const after = y < height && x < width ? pixels[y * width + x] : 0;
      if (before !== after) begun[x] = begun[x] < 0 ? y : begun[x];
      else if (begun[x] >= 0) {
        path.moveTo(left - 0.5 + x, top - 0.5 + begun[x]);
        path.lineTo(left - 0.5 + x, top - 0.5 + y);
        begun[x] = -1;
      }
    }
  }
}
