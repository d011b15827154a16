// The view: where image pixels are on the canvas.
// Image coordinates are those of the server: whole numbers are pixel centres, so that the first pixel reaches
// from -0.5 to 0.5. Canvas coordinates are CSS pixels from the upper left corner of the canvas.

/** @typedef {import("./types.js").Point} Point */

const LEAST_SHOWN = 48; // CSS pixels of the image that always stay on the canvas
const MARGIN = 24;
const GREATEST_SCALE = 64;

export class View {
  constructor() {
    this.scale = 1;
    this.left = 0;
    this.top = 0;
    this.image = { width: 1, height: 1 };
    this.canvas = { width: 1, height: 1 };
    this.fitted = true;
  }

  /** @param {Point} point @returns {Point} */
  toCanvas(point) {
    return { x: (point.x + 0.5) * this.scale + this.left, y: (point.y + 0.5) * this.scale + this.top };
  }

  /** @param {Point} point @returns {Point} */
  toImage(point) {
    return { x: (point.x - this.left) / this.scale - 0.5, y: (point.y - this.top) / this.scale - 0.5 };
  }

  /** The scale at which the whole image is visible. */
  get fittingScale() {
    const width = Math.max(1, this.canvas.width - 2 * MARGIN);
    const height = Math.max(1, this.canvas.height - 2 * MARGIN);
    return Math.min(width / this.image.width, height / this.image.height);
  }

  fit() {
    this.scale = this.fittingScale;
    this.left = (this.canvas.width - this.image.width * this.scale) / 2;
    this.top = (this.canvas.height - this.image.height * this.scale) / 2;
    this.fitted = true;
  }

  /** @param {number} width @param {number} height */
  setImage(width, height) {
    const same = width === this.image.width && height === this.image.height;
    this.image = { width, height };
    if (!same || this.fitted) this.fit();
  }

  /** @param {number} width @param {number} height */
  setCanvas(width, height) {
    const centre = this.toImage({ x: this.canvas.width / 2, y: this.canvas.height / 2 });
    this.canvas = { width, height };
    if (this.fitted) return this.fit();
    const moved = this.toCanvas(centre);
    this.pan(width / 2 - moved.x, height / 2 - moved.y);
  }

  /**
   * Scale by a factor, with the image under `at` (canvas) staying where it is.
   * @param {number} factor @param {Point} at
   */
  zoom(factor, at) {
    const fixed = this.toImage(at);
    const least = Math.min(this.fittingScale, 1) / 2;
    this.scale = Math.min(Math.max(this.scale * factor, least), Math.max(GREATEST_SCALE, this.fittingScale));
    this.fitted = false;
    const moved = this.toCanvas(fixed);
    this.pan(at.x - moved.x, at.y - moved.y);
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    const width = this.image.width * this.scale;
    const height = this.image.height * this.scale;
    this.left = clamp(this.left + dx, LEAST_SHOWN - width, this.canvas.width - LEAST_SHOWN);
    this.top = clamp(this.top + dy, LEAST_SHOWN - height, this.canvas.height - LEAST_SHOWN);
    this.fitted = false;
  }

  /** Pan just enough for an image point to be visible. @param {Point} point */
  reveal(point) {
    const at = this.toCanvas(point);
    const dx = clamp(at.x, MARGIN, this.canvas.width - MARGIN) - at.x;
    const dy = clamp(at.y, MARGIN, this.canvas.height - MARGIN) - at.y;
    if (dx || dy) this.pan(dx, dy);
  }

  /** The nearest point on the image, from first to last pixel centre. @param {Point} point @returns {Point} */
  inside(point) {
    return { x: clamp(point.x, 0, this.image.width - 1), y: clamp(point.y, 0, this.image.height - 1) };
  }

  /** @param {Point} point */
  contains(point) {
    const { width, height } = this.image;
    return point.x >= -0.5 && point.y >= -0.5 && point.x < width - 0.5 && point.y < height - 0.5;
  }
}

/** @param {number} value @param {number} least @param {number} greatest */
export function clamp(value, least, greatest) {
  return Math.min(Math.max(value, least), Math.max(least, greatest));
}
