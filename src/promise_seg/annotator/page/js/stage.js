// The three layers of the canvas: the image, the objects that rest, and the active object with its prompts. Each is
// drawn again only when something on it changed, so that moving a point costs the same with one object as with a
// hundred.

import { api } from "./api.js";
import { drawMask } from "./layers/masks.js";
import { drawCrosshair, drawPrompts } from "./layers/prompts.js";
import { Pictures } from "./pictures.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./edits.js").Edits} Edits */
/** @typedef {import("./display.js").Display} Display */
/** @typedef {import("./types.js").Annotated} Annotated */
/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./view.js").View} View */

/**
 * @typedef {object} Elements
 * @property {HTMLElement} stage
 * @property {HTMLCanvasElement} image
 * @property {HTMLCanvasElement} others
 * @property {HTMLCanvasElement} active
 */

const QUICK_MS = 10;
const REST_MS = 90;

export class Stage {
  /**
   * @param {Elements} elements
   * @param {View} view @param {Session} session @param {Edits} edits @param {Display} display
   */
  constructor(elements, view, session, edits, display) {
    this.elements = elements;
    this.view = view;
    this.session = session;
    this.edits = edits;
    this.display = display;
    this.pictures = new Pictures();
    /** @type {ImageBitmap | null} */
    this.picture = null;
    /** @type {number | null} the image that the picture is, or is to be, of */
    this.pictured = null;
    this.address = "";
    this.wanted = "";
    /** @type {(context: CanvasRenderingContext2D) => void} */
    this.drawTool = () => {};
    /** @type {Point | null} in the image */
    this.crosshair = null;
    this.dirty = new Set(["image", "others", "active"]);
    this.frame = 0;
    this.othersCost = 0;
    this.othersView = { scale: 1, left: 0, top: 0 };
    this.restTimer = 0;
    const { changes } = session;
    changes.on(["image", "display"], () => this.load());
    changes.on(["view", "image", "display"], () => this.redraw("image", "others", "active"));
    changes.on(["objects"], () => this.redraw("others", "active"));
    changes.on(["prompts", "tool"], () => this.redraw("active"));
    new ResizeObserver(() => this.resize()).observe(elements.stage);
    this.resize();
  }

  /** Whether the pixels on the canvas are those of the slice and window that are wanted. */
  get isCurrent() {
    return this.picture !== null && this.address === this.wanted;
  }

  resize() {
    const { clientWidth, clientHeight } = this.elements.stage;
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.elements.image, this.elements.others, this.elements.active]) {
      canvas.width = Math.max(1, Math.round(clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    }
    this.view.setCanvas(clientWidth, clientHeight);
    this.session.changes.tell("view");
  }

  /**
   * Have an image's pixels before it is opened, or while it is.
   * @param {import("./types.js").ImageEntry} entry @param {number} slice
   */
  expect(entry, slice) {
    if (entry.changed || !Pictures.hasRoomFor(entry.width * entry.height)) return;
    this.pictures.expect(api.pixels(entry.id, slice, this.display.windowOf(entry)));
  }

  /** Fetch the slice and window that are wanted; of several wishes meanwhile the last counts. */
  async load() {
    const { image, slice } = this.session;
    if (!image) return;
    this.view.setImage(image.width, image.height);
    const address = api.pixels(image.id, slice, this.display.windowOf(image));
    const loading = this.wanted !== this.address;
    if (address === this.wanted && (loading || this.picture)) return;
    this.wanted = address;
    if (image.id !== this.pictured) this.picture = null; // else one image's objects would lie on another's picture
    this.pictured = image.id;
    if (image.changed) this.pictures.forget(address); // so that the reason why it is not shown is said
    if (!loading) this.address = ""; // also where the same did not arrive before
    this.session.changes.tell("saved");
    if (!loading) await this.loadWanted();
  }

  async loadWanted() {
    while (this.wanted !== this.address) {
      const address = this.wanted;
      const { pictured } = this;
      try {
        const picture = await this.pictures.get(address);
        if (pictured === this.pictured) this.picture = picture;
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        this.picture = null;
        if (address === this.wanted) this.session.say(error.message, "retry");
      }
      this.address = address;
    }
    this.session.changes.tell("view", "saved");
  }

  /** @param {...("image" | "others" | "active")} layers */
  redraw(...layers) {
    for (const layer of layers) this.dirty.add(layer);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    if (this.dirty.delete("image")) this.drawImage();
    if (this.dirty.delete("others")) this.drawOthers();
    if (this.dirty.delete("active")) this.drawActive();
  }

  /** @param {HTMLCanvasElement} canvas */
  contextOf(canvas) {
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.view.canvas.width, this.view.canvas.height);
    return context;
  }

  drawImage() {
    const context = this.contextOf(this.elements.image);
    const { view, picture } = this;
    if (!picture || !this.session.image) return;
    const { scale } = view;
    context.imageSmoothingEnabled = scale < 3; // pixels are to be seen as such when magnified
    context.drawImage(picture, view.left, view.top, view.image.width * scale, view.image.height * scale);
  }

  /** While the view moves and drawing takes long, what is drawn already is moved; it is drawn anew at rest. */
  drawOthers() {
    const { others } = this.elements;
    const { scale, left, top } = this.view;
    const from = this.othersView;
    const moved = scale !== from.scale || left !== from.left || top !== from.top;
    clearTimeout(this.restTimer);
    if (moved && this.othersCost > QUICK_MS) {
      const factor = scale / from.scale;
      const [x, y] = [left - from.left * factor, top - from.top * factor];
      others.style.transform = `translate(${x}px, ${y}px) scale(${factor})`;
      this.restTimer = setTimeout(() => {
        this.othersCost = 0;
        this.redraw("others");
      }, REST_MS);
      return;
    }
    const begun = performance.now();
    const context = this.contextOf(others);
    others.style.transform = "";
    for (const one of this.session.shown) if (one.id !== this.session.active) this.drawObject(context, one, 1.2);
    this.othersCost = performance.now() - begun;
    this.othersView = { scale, left, top };
  }

  /** @param {CanvasRenderingContext2D} context @param {Annotated} object @param {number} width */
  drawObject(context, object, width) {
    if (object.hidden || this.display.peeking) return;
    const colour = this.display.colourOf(object);
    drawMask(context, this.view, object.region, { colour, opacity: this.display.fill, width });
  }

  drawActive() {
    const context = this.contextOf(this.elements.active);
    const { edits, session, display, view } = this;
    if (!session.image) return;
    if (!display.peeking) {
      this.drawActiveMask(context);
      const hidden = session.activeObject?.hidden ?? false;
      if (!hidden) drawPrompts(context, view, edits.prompts, edits.selected);
      this.drawTool(context);
      if (edits.preview) measure(edits.preview);
    }
    if (this.crosshair) drawCrosshair(context, view.toCanvas(this.crosshair));
  }

  /** @param {CanvasRenderingContext2D} context */
  drawActiveMask(context) {
    const { edits, session, display, view } = this;
    const object = session.activeObject;
    if (object?.hidden) return;
    const preview = edits.preview?.object === session.active ? edits.preview.region : null;
    const region = preview ?? object?.region;
    const colour = object ? display.colourOf(object) : display.colourOfClass(edits.classOfNew);
    if (region) drawMask(context, view, region, { colour, opacity: display.fill, width: 2 });
    const hovered = edits.hovered?.object === session.active ? edits.hovered.region : null;
    if (hovered) drawMask(context, view, hovered, { colour, opacity: 0, width: 1.4, dashed: true });
  }
}

/**
 * Tell performance observers how long it took from a movement to the mask of it.
 * @param {import("./edits.js").Shown} shown
 */
function measure(shown) {
  if (!shown.asked) return;
  performance.measure("preview", { start: shown.asked, end: performance.now() });
  performance.clearMeasures("preview");
  shown.asked = 0;
}
