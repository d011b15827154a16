// What tools do to objects: prompts that are being moved (a draft, with its preview), and what is then sent as an
// action.

import { unpack, pack } from "./masks.js";
import { Region } from "./region.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").Action} Action */
/** @typedef {import("./types.js").Annotated} Annotated */
/** @typedef {import("./types.js").Prompts} Prompts */
/** @typedef {{object: number | null, slice: number, prompts: Prompts}} Draft */
/**
 * @typedef {{id: Promise<number | null>, waiting: Action[]}} Adding `waiting`: actions that were sent without its id
 */
/** @typedef {{object: number | null, region: Region, asked: number}} Shown `asked`: when, until it is drawn; then 0 */

/** @type {Prompts} */
const NOTHING = { points: [], box: null };

export class Edits {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    /** @type {Draft | null} prompts that are not sent yet */
    this.draft = null;
    /** @type {Shown | null} the mask of the draft */
    this.preview = null;
    /** @type {Shown | null} the mask that a click here would give */
    this.hovered = null;
    /** @type {{point: number} | "box" | null} */
    this.selected = null;
    /** @type {number | null} the class of the next new object */
    this.newClass = null;
    this.postponing = false;
    this.postponedAny = false;
    /** @type {Adding | null} the active object while it has no id yet */
    this.adding = null;
    this.place = "";
    session.changes.on(["image"], () => this.clean());
  }

  get changes() {
    return this.session.changes;
  }

  /** Drop what belongs to another slice or image. */
  clean() {
    const { slice, image } = this.session;
    const place = image ? `${image.id}/${slice}` : "";
    if (place !== this.place) this.leaveObject();
    this.place = place;
  }

  /** What comes next is not of the active object, even if that is still being added. */
  leaveObject() {
    this.adding = null;
    this.forget();
  }

  forget() {
    this.draft = null;
    this.preview = null;
    this.hovered = null;
    this.selected = null;
    this.session.previews.forget();
    this.changes.tell("prompts");
  }

  /** The prompts on the screen: the draft's, or the active object's. @returns {Prompts} */
  get prompts() {
    if (this.draft && this.draft.object === this.session.active) return this.draft.prompts;
    return this.session.activeObject ?? NOTHING;
  }

  get classOfNew() {
    const classes = this.session.project?.classes ?? [];
    return this.newClass ?? this.session.activeObject?.class ?? classes[0]?.id ?? 1;
  }

  /** Whether the active object may be changed; says why not. */
  mayChange() {
    const { session } = this;
    if (!session.mayEdit) {
      session.announce(session.image ? "This image cannot be changed at present" : "There is no image");
      return false;
    }
    if (!session.activeObject?.locked) return true;
    session.announce("The object is locked. Press L to unlock it, or N for a new object");
    return false;
  }

  /** Whether an object may have so many points; says so if not. @param {Prompts} prompts */
  hasRoomFor({ points }) {
    const most = this.session.project?.limits.points ?? Infinity;
    if (points.length <= most) return true;
    this.session.announce(`An object has ${most} points at most`);
    return false;
  }

  /** Show prompts that are still being moved, and their mask once it is there. @param {Prompts} prompts */
  move(prompts) {
    this.hovered = null;
    this.draft = { object: this.session.active, slice: this.session.slice, prompts };
    this.changes.tell("prompts");
    if (!this.postponing) this.ask(prompts, null, (shown) => (this.preview = shown));
  }

  /** Show what prompts would give, without any draft. @param {Prompts} prompts @param {number | null} [candidate] */
  hover(prompts, candidate = null) {
    if (this.draft || this.postponing || !this.session.queue.isEmpty) return;
    this.ask(prompts, candidate, (shown) => (this.hovered = shown));
  }

  endHover() {
    if (!this.draft) this.session.previews.forget();
    if (this.hovered) {
      this.hovered = null;
      this.changes.tell("prompts");
    }
    this.changes.tell("saved");
  }

  /**
   * @param {Prompts} prompts @param {number | null} candidate
   * @param {(shown: Shown | null) => void} heard
   */
  ask(prompts, candidate, heard) {
    const { session } = this;
    const { active: object, slice, image } = session;
    const asked = performance.now();
    const { points, box } = prompts;
    const of = object === null ? { object, class: this.classOfNew } : { object };
    const { forgotten } = session.previews;
    session.previews.ask({ slice, ...of, points, box, candidate }, (answer) => {
      void (answer ? unpack(answer.mask) : Promise.resolve(null)).then((region) => {
        if (session.previews.forgotten !== forgotten) return; // while it was unpacked
        if (session.image !== image || session.slice !== slice || session.active !== object) return;
        heard(region && { object, region, asked });
        this.changes.tell("prompts", "saved");
      });
    });
    this.changes.tell("saved");
  }

  /**
   * Send prompts, or keep them as a draft while the model is postponed.
   *
   * @param {Prompts} prompts @returns {Promise<boolean>} whether they became a step
   */
  async commit(prompts) {
    const { session } = this;
    const object = session.active;
    this.hovered = null;
    const { points, box } = prompts;
    const isNew = object === null && !this.adding;
    const isNothing = isNew && !points.length && !box && !this.postponing;
    if (isNothing || !this.mayChange() || !this.hasRoomFor(prompts)) {
      this.forget();
      return false;
    }
    if (this.postponing) {
      this.draft = { object, slice: session.slice, prompts };
      this.postponedAny = true;
      this.changes.tell("prompts");
      return false;
    }
    session.previews.forget();
    this.draft = { object, slice: session.slice, prompts };
    this.changes.tell("prompts");
    const answer = await (isNew ? this.add(box ? { points, box } : { points }) : this.change(object, prompts));
    this.settle(prompts);
    return Boolean(answer);
  }

  /** @param {number | null} object `null` for the one that is being added @param {Prompts} prompts */
  change(object, { points, box }) {
    const active = this.session.activeObject;
    if (active) Object.assign(active, { points, box, automatic: false });
    return this.send({ type: "prompts", object, points, box });
  }

  /**
   * Send an action on the active object; if that is still being added, the id is filled in once it is known.
   * @param {Action} action
   */
  send(action) {
    if (action.object === null && this.adding) {
      action.object = this.adding.id;
      this.adding.waiting.push(action);
    }
    return this.session.act(action);
  }

  /** What was sent is answered: the object shows it from now on. @param {Prompts} prompts */
  settle(prompts) {
    if (this.draft?.prompts === prompts) {
      this.draft = null;
      this.preview = null;
    }
    this.changes.tell("prompts", "saved");
  }

  /** Add an object, which is then the active one. @param {Record<string, unknown>} what */
  async add(what) {
    const { session } = this;
    const sent = session.act({ type: "add", slice: session.slice, class: this.classOfNew, ...what });
    /** @type {Adding} */
    const adding = { id: sent.then((answer) => answer?.changed[0]?.id ?? null), waiting: [] };
    this.adding = adding;
    const answer = await sent;
    const id = answer?.changed[0]?.id ?? null;
    for (const action of adding.waiting) action.object = id;
    const added = id === null ? undefined : session.objects.get(id);
    const later = id === null ? undefined : session.queue.promptsOf(id);
    if (added && later) Object.assign(added, { points: later.points, box: later.box });
    if (this.adding === adding) this.added(added);
    this.changes.tell("objects", "prompts");
    return answer;
  }

  /** The new object has its id, unless it was refused, and its draft goes on. @param {Annotated | undefined} object */
  added(object) {
    this.adding = null;
    this.newClass = null;
    if (!object) return;
    this.session.active = object.id;
    if (this.draft?.object === null) this.draft.object = object.id;
  }

  /** Wait until a new object has its id, so that what comes next is its. */
  async settled() {
    while (this.adding) await this.adding.id;
  }

  /** @param {"add" | "erase"} mode @param {Region} region */
  async stroke(mode, region) {
    const { session } = this;
    if (region.isEmpty || !this.mayChange()) return this.changes.tell("prompts");
    const object = session.active;
    if (object === null && !this.adding) {
      if (mode === "erase") return session.announce("There is no object to erase from. Choose one first");
      return this.add({ mask: pack(region) });
    }
    const active = session.activeObject;
    if (active) active.region = painted(active.region, mode, region);
    this.changes.tell("objects");
    await this.send({ type: "stroke", object, mode, mask: pack(region) });
  }

  /** Delete the selected point or box. */
  async deleteSelected() {
    const { points, box } = this.prompts;
    const at = this.selected;
    if (!at || !this.mayChange()) return;
    this.selected = null;
    if (at === "box") await this.commit({ points, box: null });
    else await this.commit({ points: points.filter((_, index) => index !== at.point), box });
  }

  async flipSelected() {
    const { points, box } = this.prompts;
    const at = this.selected;
    if (!at || at === "box" || !this.mayChange()) return;
    const flipped = points.map((one, index) => (index === at.point ? { ...one, label: 1 - one.label } : one));
    await this.commit({ points: flipped, box });
  }

  postpone() {
    this.postponing = true;
    this.postponedAny = false;
    this.session.announce("The model waits until the key is released");
    this.changes.tell("tool");
  }

  async endPostponing() {
    this.postponing = false;
    this.changes.tell("tool");
    if (!this.postponedAny) this.session.announce("");
    if (this.postponedAny && this.draft) await this.commit(this.draft.prompts);
  }
}

/** @param {Region} region @param {"add" | "erase"} mode @param {Region} stroke @returns {Region} */
function painted(region, mode, stroke) {
  if (mode === "add") {
    const whole = region.isEmpty ? new Region(stroke.x, stroke.y, stroke.width, stroke.height) : grown(region, stroke);
    each(stroke, whole, (at) => (whole.pixels[at] = 1));
    return whole;
  }
  const rest = new Region(region.x, region.y, region.width, region.height, region.pixels.slice());
  each(stroke, rest, (at) => (rest.pixels[at] = 0));
  return rest;
}

/** A copy with room for both. @param {Region} region @param {Region} other */
function grown(region, other) {
  const x = Math.min(region.x, other.x);
  const y = Math.min(region.y, other.y);
  const right = Math.max(region.x + region.width, other.x + other.width);
  const bottom = Math.max(region.y + region.height, other.y + other.height);
  const whole = new Region(x, y, right - x, bottom - y);
  whole.copy(region);
  return whole;
}

/**
 * Visit the places in `whole` of the pixels inside `part`.
 * @param {Region} part @param {Region} whole @param {(at: number) => void} visit
 */
function each(part, whole, visit) {
  for (let row = 0; row < part.height; row += 1) {
    const y = part.y + row - whole.y;
    if (y < 0 || y >= whole.height) continue;
    for (let column = 0; column < part.width; column += 1) {
      const x = part.x + column - whole.x;
      if (part.pixels[row * part.width + column] && x >= 0 && x < whole.width) visit(y * whole.width + x);
    }
  }
}
