// Mouse, pen and fingers on the canvas, told apart and turned into gestures.
// The left button, a pen or one finger uses the tool; two fingers pan and pinch; the middle button, or any button while
// Space is held, pans. While a pen is near, fingers are the palm; so is a contact as broad as one. Pressure has no
// effect.

/** @typedef {import("./types.js").Point} Point */
/**
 * @typedef {object} Gestures
 * @property {(at: Sample) => void} hover
 * @property {(at: Sample) => void} down
 * @property {(at: Sample) => void} move
 * @property {(at: Sample) => void} up
 * @property {() => void} cancel
 * @property {() => void} leave
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, at: Point) => void} zoom
 * @property {(at: Sample) => void} double
 * @property {() => string} subject what is pressed on: a second press on something else makes no double click
 * @property {(at: Sample) => boolean} takesDouble whether a second press here makes a double click, not a press of its
 *   own
 * @property {() => boolean} panning whether the pointer pans at present whatever the tool is
 */
/**
 * @typedef {object} Sample
 * @property {number} x canvas
 * @property {number} y canvas
 * @property {boolean} background Shift or the right button
 * @property {boolean} choose Ctrl, or Cmd of a Mac
 * @property {string} kind mouse, pen, touch, or key for the crosshair
 */

/**
 * @typedef {object} Press
 * @property {number} id
 * @property {string} kind
 * @property {Sample} start
 * @property {boolean} begun whether it has moved enough to be told from a finger that rests
 * @property {boolean} pans
 * @property {boolean} double
 */

const SLOP = { mouse: 0, pen: 2, touch: 8 };
const PALM = 90; // CSS pixels across
const PEN_REST_MS = 700;
const DOUBLE_MS = 350;
const DOUBLE_REACH = { mouse: 5, pen: 10, touch: 24 };

export class PointerInput {
  /** @param {HTMLElement} element @param {Gestures} gestures */
  constructor(element, gestures) {
    this.element = element;
    this.gestures = gestures;
    /** @type {Map<number, Sample>} */
    this.fingers = new Map();
    /** @type {Press | null} */
    this.active = null;
    this.pinching = false;
    this.penAt = -Infinity;
    this.lastTap = { x: 0, y: 0, at: -Infinity, on: "" };
    const listen = (/** @type {string} */ name, /** @type {(event: PointerEvent) => void} */ heard) =>
      element.addEventListener(name, (event) => heard.call(this, /** @type {PointerEvent} */ (event)));
    listen("pointerdown", this.down);
    listen("pointermove", this.move);
    listen("pointerup", this.up);
    listen("pointercancel", this.cancelled);
    listen("pointerleave", (event) => event.pointerType !== "touch" && gestures.leave());
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** Whether a tool's gesture is under way. */
  get busy() {
    return this.active !== null && this.active.begun && !this.active.pans;
  }

  /** @param {PointerEvent} event @returns {Sample} */
  sample(event) {
    const frame = this.element.getBoundingClientRect();
    const background = event.shiftKey || event.button === 2 || (event.buttons & 2) !== 0;
    const choose = event.ctrlKey || event.metaKey;
    return { x: event.clientX - frame.left, y: event.clientY - frame.top, background, choose, kind: event.pointerType };
  }

  /** @param {PointerEvent} event */
  isPalm(event) {
    if (event.pointerType !== "touch") return false;
    const penNear = this.active?.kind === "pen" || event.timeStamp - this.penAt < PEN_REST_MS;
    return penNear || Math.max(event.width, event.height) > PALM;
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.pointerType === "pen") this.penDown(event);
    if (this.isPalm(event)) return;
    const at = this.sample(event);
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, at);
    if (this.fingers.size === 2) return this.beginPinch();
    if (this.active || this.pinching || event.button > 2) return;
    capture(this.element, event.pointerId);
    const pans = event.button === 1 || this.gestures.panning();
    const double = !pans && this.follows(at, event.timeStamp) && this.gestures.takesDouble(at);
    this.active = { id: event.pointerId, kind: event.pointerType, start: at, begun: false, pans, double };
    if (event.button === 1) event.preventDefault(); // no scrolling by the middle button
    if (!slopOf(event.pointerType)) this.begin(at);
  }

  /** A pen ends what fingers were doing: they are the hand that holds it. @param {PointerEvent} event */
  penDown(event) {
    this.penAt = event.timeStamp;
    this.fingers.clear();
    this.pinching = false;
    if (this.active?.kind === "touch") this.drop();
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (event.pointerType === "pen") this.penAt = event.timeStamp;
    const at = this.sample(event);
    if (this.pinching && this.fingers.has(event.pointerId)) return this.pinch(event.pointerId, at);
    const active = this.active;
    if (!active) {
      if (event.pointerType !== "touch") this.gestures.hover(at);
      return;
    }
    if (active.id !== event.pointerId) return;
    if (!active.begun) {
      if (distance(at, active.start) < slopOf(active.kind)) return;
      this.begin(active.start);
    }
    if (active.double) {
      if (distance(at, active.start) < reachOf(active.kind)) return;
      active.double = false; // a tap and then a drag: no double click
      this.gestures.down(active.start);
    }
    if (active.pans) {
      this.gestures.pan(at.x - active.start.x, at.y - active.start.y);
      active.start = at;
      return;
    }
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of steps.length ? steps : [event]) {
      this.gestures.move({ ...this.sample(step), background: active.start.background });
    }
  }

  /** @param {Sample} at */
  begin(at) {
    if (!this.active) return;
    this.active.begun = true;
    if (!this.active.pans && !this.active.double) this.gestures.down(at);
  }

  /** @param {PointerEvent} event */
  up(event) {
    this.fingers.delete(event.pointerId);
    if (this.pinching) {
      this.pinching = this.fingers.size > 0;
      return;
    }
    const active = this.active;
    if (!active || active.id !== event.pointerId) return;
    const at = { ...this.sample(event), background: active.start.background };
    if (!active.begun) this.begin(active.start);
    this.active = null;
    if (active.pans) return;
    const tapped = distance(at, active.start) < reachOf(at.kind);
    const since = tapped && !active.double ? event.timeStamp : -Infinity;
    this.lastTap = { x: at.x, y: at.y, at: since, on: this.gestures.subject() };
    if (active.double) this.gestures.double(at);
    else this.gestures.up(at);
  }

  /** Whether a press follows a tap closely enough to be its second. @param {Sample} at @param {number} now */
  follows(at, now) {
    const { lastTap } = this;
    const isNear = now - lastTap.at < DOUBLE_MS && distance(at, lastTap) < reachOf(at.kind);
    return isNear && lastTap.on === this.gestures.subject();
  }

  /** @param {PointerEvent} event */
  cancelled(event) {
    this.fingers.delete(event.pointerId);
    if (this.fingers.size === 0) this.pinching = false;
    if (this.active?.id === event.pointerId) this.drop();
  }

  /** End the gesture under way without effect. */
  drop() {
    const active = this.active;
    this.active = null;
    if (active?.begun && !active.pans && !active.double) this.gestures.cancel();
  }

  beginPinch() {
    this.drop();
    this.pinching = true;
  }

  /** @param {number} id @param {Sample} at */
  pinch(id, at) {
    const before = [...this.fingers.values()].slice(0, 2);
    this.fingers.set(id, at);
    const after = [...this.fingers.values()].slice(0, 2);
    if (before.length < 2) return;
    const from = middle(before[0], before[1]);
    const to = middle(after[0], after[1]);
    this.gestures.pan(to.x - from.x, to.y - from.y);
    const spread = distance(before[0], before[1]);
    if (spread > 1) this.gestures.zoom(distance(after[0], after[1]) / spread, to);
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    const frame = this.element.getBoundingClientRect();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const step = Math.max(-240, Math.min(240, event.deltaY * lines));
    const speed = event.ctrlKey ? 100 : 480; // touch pads report a pinch as a wheel with Ctrl
    this.gestures.zoom(2 ** (-step / speed), { x: event.clientX - frame.left, y: event.clientY - frame.top });
  }
}

/** @param {HTMLElement} element @param {number} id */
function capture(element, id) {
  try {
    element.setPointerCapture(id);
  } catch {
    // the pointer is gone already
  }
}

/** @param {string} kind */
function reachOf(kind) {
  return kind === "touch" ? DOUBLE_REACH.touch : kind === "pen" ? DOUBLE_REACH.pen : DOUBLE_REACH.mouse;
}

/** @param {string} kind */
function slopOf(kind) {
  return kind === "touch" ? SLOP.touch : kind === "pen" ? SLOP.pen : SLOP.mouse;
}

/** @param {Point} one @param {Point} other */
export function distance(one, other) {
  return Math.hypot(one.x - other.x, one.y - other.y);
}

/** @param {Point} one @param {Point} other @returns {Point} */
function middle(one, other) {
  return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
}
