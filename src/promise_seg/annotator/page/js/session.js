// The open image with its objects, held for this tab, and everything that was said about it by the server.

import { counted, saidOf } from "./answers.js";
import { ApiError, api } from "./api.js";
import { hold, middleOf } from "./holding.js";
import { annotated } from "./masks.js";
import { Previews } from "./previews.js";
import { ActionQueue } from "./queue.js";
import { troubleOf, troubleOfWaiting } from "./troubles.js";
import { newUuid } from "./uuid.js";

/** @typedef {import("./changes.js").Changes} Changes */
/** @typedef {import("./types.js").Action} Action */
/** @typedef {import("./types.js").ActionAnswer} ActionAnswer */
/** @typedef {import("./types.js").Annotated} Annotated */
/** @typedef {import("./types.js").ImageEntry} ImageEntry */
/** @typedef {import("./types.js").Project} Project */
/** @typedef {import("./types.js").WireImage} WireImage */
/** @typedef {import("./troubles.js").Trouble} Trouble */

export class Session {
  /** @param {Changes} changes @param {(text: string) => void} announce */
  constructor(changes, announce) {
    this.changes = changes;
    this.announce = announce;
    this.client = newUuid();
    this.user = new URLSearchParams(location.search).get("user");
    /** @type {Project | null} */
    this.project = null;
    /** @type {ImageEntry[]} */
    this.images = [];
    /** @type {WireImage | null} */
    this.image = null;
    /** @type {Map<number, Annotated>} ids grow with every object that is added on top */
    this.objects = new Map();
    this.slice = 0;
    /** @type {number | null} `null`: the next prompt begins a new object */
    this.active = null;
    this.held = false;
    this.opening = false;
    this.wishes = 0;
    this.refreshes = 0;
    this.isAsking = false;
    /** @type {number | undefined} */
    this.prolonging = undefined;
    /** @type {number | null} the image that is open, or being opened */
    this.target = null;
    /** @type {Map<number, Promise<unknown>>} images that are being let go */
    this.leaving = new Map();
    /** @type {(entry: ImageEntry, slice: number) => void} is told what is about to be shown */
    this.expect = () => {};
    /** @type {() => void} is told when an image was opened, and there is time for the next one */
    this.opened = () => {};
    /** @type {Trouble | null} */
    this.trouble = null;
    /** @type {ApiError | null} why actions wait for their next try */
    this.delay = null;
    /** @type {number | null} an image that was done or skipped, and was opened again by a change */
    this.reopened = null;
    this.previews = new Previews(() => changes.tell("saved"));
    this.queue = new ActionQueue(this.client, {
      revision: () => this.image?.revision ?? 0,
      answered: (answer, action) => this.apply(answer, action),
      refused: (error) => this.refused(error),
      delayed: (error) => this.delayed(error),
      holdAgain: (id) => this.holdAgain(id),
    });
    window.addEventListener("pagehide", () => void this.letGo());
    window.addEventListener("pageshow", ({ persisted }) => {
      if (persisted && this.target !== null) void this.open(this.target);
    });
    document.addEventListener("visibilitychange", () => void this.prolong());
  }

  async start() {
    this.project = await api.project();
    this.images = await api.images();
    this.prolonging ??= setInterval(() => this.prolong(), (this.project.limits.lease_seconds * 1000) / 3);
    this.changes.tell("images", "saved");
  }

  /** Objects of the slice that is shown, lowest first. */
  get shown() {
    return [...this.objects.values()].filter((one) => one.slice === this.slice).sort((one, other) => one.id - other.id);
  }

  get activeObject() {
    return this.active === null ? null : (this.objects.get(this.active) ?? null);
  }

  get mayEdit() {
    return this.image !== null && this.held && !this.opening && !this.image.changed;
  }

  get busy() {
    return this.opening || !this.queue.isEmpty || this.previews.busy;
  }

  /**
   * @param {number} id @param {boolean} [take] from whoever has it @param {number} [slice]
   * @param {string} [after] what is said first
   */
  async open(id, take = false, slice = undefined, after = "") {
    const wish = (this.wishes += 1);
    const isWanted = () => wish === this.wishes; // no other image was asked for meanwhile
    this.target = id;
    const drained = await this.queue.drained();
    if (!isWanted()) return;
    if (!drained) {
      this.target = this.image?.id ?? null;
      return this.announce("The last change is not saved yet");
    }
    this.opening = true;
    this.changes.tell("saved");
    const entry = this.images.find((one) => one.id === id);
    const shown = slice ?? (this.image?.id === id ? this.slice : middleOf(entry));
    if (entry) this.expect(entry, shown); // its pixels, while it is being held
    try {
      if (this.image && this.image.id !== id) void this.letGo();
      const { image, refusal } = await hold(this, id, take, shown);
      if (!isWanted()) return void (id === this.target || refusal || api.letGo(id, this.client));
      this.held = refusal === null;
      if (refusal) this.sayError(refusal);
      else this.clearTrouble();
      await this.show(image, { slice, isWanted });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (isWanted()) this.sayError(error);
    } finally {
      if (isWanted() && this.opening) {
        this.opening = false;
        this.changes.tell("image", "objects", "prompts", "saved");
      }
    }
    if (!isWanted()) return;
    await this.propose();
    if (!isWanted()) return;
    if (this.isAt(id)) this.announce(`${after}${this.image?.name}: ${counted(this.shown.length, "object")}`);
    this.previews.begin();
    await this.refresh(true);
    if (isWanted()) this.opened();
  }

  /**
   * @param {WireImage} image
   * @param {{slice?: number, isWanted: () => boolean}} options `isWanted`: still, once it is unpacked
   */
  async show(image, { slice, isWanted }) {
    const objects = await Promise.all(image.list.map(annotated));
    if (!isWanted()) return;
    const another = this.image?.id !== image.id;
    this.opening = false;
    this.image = image;
    this.objects = new Map(objects.map((one) => [one.id, one]));
    if (another) {
      this.slice = middleOf(image);
      this.previews.open(image.id);
      this.remember(image);
    }
    if (slice !== undefined) this.slice = slice;
    if (another || slice !== undefined || !this.activeObject) this.active = this.firstToDo();
    this.changes.tell("image", "objects", "prompts", "images", "saved");
  }

  /** The first object of this slice that is not accepted, else the first. */
  firstToDo() {
    const free = this.shown.filter((one) => !one.locked && !one.hidden);
    return (free.find((one) => !one.accepted) ?? free[0])?.id ?? null;
  }

  /** @param {number} slice */
  async goTo(slice) {
    if (!this.image || slice < 0 || slice >= this.image.slices || slice === this.slice) return;
    this.slice = slice;
    this.active = this.firstToDo();
    this.changes.tell("image", "objects", "prompts");
    await this.propose();
  }

  /** Have the model's proposal for this slice of an open image, once. */
  async propose() {
    const { image, slice } = this;
    if (!image || !this.mayEdit || !this.project?.model.proposes) return;
    if (image.state !== "open" || image.proposed.includes(slice)) return;
    const had = this.active;
    await this.act({ type: "propose", slice });
    if (this.image?.id === image.id && this.slice === slice && had === null && this.active === null) {
      this.active = this.firstToDo();
      this.changes.tell("objects", "prompts");
    }
  }

  /** @param {Action} action @returns {Promise<ActionAnswer | null>} */
  act(action) {
    if (!this.image || !this.mayEdit) {
      this.announce(this.image ? "This image cannot be changed at present" : "There is no image");
      return Promise.resolve(null);
    }
    if (this.queue.repeats(action)) {
      this.announce("This is waiting to be saved already");
      return Promise.resolve(null);
    }
    const answer = this.queue.push(this.image.id, action);
    if (this.delay) this.delayed(this.delay); // with the new number of actions
    void answer.then(() => this.changes.tell("saved"));
    this.changes.tell("saved");
    return answer;
  }

  /** @param {ActionAnswer} answer @param {Action} action */
  async apply(answer, action) {
    const changed = await Promise.all(answer.changed.map(annotated));
    const { image } = this;
    if (!image) return;
    const { revision, state, can_undo, can_redo, proposed, dice } = answer;
    const before = new Map(this.objects);
    if (state !== "open" || image.state !== "open") this.reopened = state === "open" ? image.id : null;
    Object.assign(image, { revision, state, can_undo, can_redo, proposed, dice });
    for (const one of changed) {
      const later = this.queue.promptsOf(one.id);
      if (later) Object.assign(one, { points: later.points, box: later.box });
      this.objects.set(one.id, one);
    }
    for (const id of answer.removed) this.objects.delete(id);
    if (action.type === "undo" || action.type === "redo") this.follow(changed, answer.removed);
    else if (this.active !== null && !this.objects.has(this.active)) this.active = this.firstToDo();
    image.objects = this.objects.size;
    this.remember(image);
    const said = saidOf(action, answer, this, before);
    if (said) this.announce(said);
    if (answer.note && action.type !== "propagate") this.say(answer.note, null); // propagation says its own
    this.changes.tell("image", "objects", "prompts", "images", "saved");
  }

  /**
   * After undo and redo, the object that they changed is the active one.
   * @param {Annotated[]} changed @param {number[]} removed
   */
  follow(changed, removed) {
    const last = changed.at(-1);
    if (last) {
      this.active = last.id;
      this.slice = last.slice;
    } else if (this.active !== null && removed.includes(this.active)) this.active = this.firstToDo();
  }

  /** @param {ApiError} error */
  async refused(error) {
    const { image } = this;
    this.delay = null;
    if (error.code === "held" || error.code === "not-held") this.held = false;
    this.sayError(error);
    if (image) await this.showAgain(image.id);
    this.changes.tell("image", "objects", "prompts", "saved");
  }

  /** Show the open image as the server has it. @param {number} id */
  async showAgain(id) {
    const isWanted = () => this.isAt(id);
    try {
      await this.show(await api.image(id), { isWanted });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (isWanted()) this.say(error.message, "retry");
    }
  }

  /** Whether an image is open, and stays so. @param {number} id */
  isAt(id) {
    return this.image?.id === id && !this.opening;
  }

  /** @param {ApiError | null} error */
  delayed(error) {
    this.delay = error;
    if (error) this.trouble = troubleOfWaiting(error, this.queue.waiting.length);
    else {
      this.clearTrouble();
      this.announce("Saved again");
    }
    this.changes.tell("saved");
  }

  /** Have the list anew: trust becomes known, and others hold and finish images. @param {boolean} sorted or as it is */
  async refresh(sorted) {
    const asked = (this.refreshes += 1);
    try {
      const found = await api.images();
      if (asked !== this.refreshes) return;
      const places = new Map(this.images.map((one, at) => [one.id, at]));
      if (!sorted) found.sort((one, other) => (places.get(one.id) ?? Infinity) - (places.get(other.id) ?? Infinity));
      this.images = found;
      if (this.image) this.remember(this.image);
      this.changes.tell("images");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the list stays as it was
    }
  }

  /** Go on with a model that took over: an image that nobody touched is proposed anew. */
  async renew() {
    try {
      this.project = await api.project();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return this.sayError(error);
    }
    const { image } = this;
    const isUntouched = image !== null && this.mayEdit && image.state === "open" && image.edits === 0;
    if (!isUntouched || !this.queue.isEmpty) return this.refresh(false);
    await this.letGo();
    return this.open(image.id, false, this.slice);
  }

  async prolong() {
    if (document.hidden) return;
    void this.refresh(false);
    if (!this.image || !this.held || this.opening || this.isAsking) return;
    const { id } = this.image;
    this.isAsking = true; // an answer may take long: no second one is waited for meanwhile
    try {
      const found = await api.hold(id, this.client, this.user, false);
      if (!this.isAt(id)) return void (id === this.target || api.letGo(id, this.client)); // it was left meanwhile
      const isWanted = () => this.isAt(id) && this.queue.isEmpty && found.revision > (this.image?.revision ?? 0);
      if (isWanted()) await this.show(found, { isWanted });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.isAt(id) && this.queue.isEmpty) this.notProlonged(error);
    } finally {
      this.isAsking = false;
    }
  }

  /** @param {ApiError} error */
  notProlonged(error) {
    if (error.code === "held") this.held = false;
    if (error.code === "held" || error.code === "no-session") this.sayError(error);
  }

  /** Hold an image that this tab lost without anybody having taken it. @param {number} id */
  async holdAgain(id) {
    await api.hold(id, this.client, this.user, false);
    this.held = true;
  }

  /** Take the open image from who has it, and send what waits. */
  async takeOver() {
    const { image } = this;
    if (!image) return;
    if (this.queue.isEmpty) return this.open(image.id, true);
    try {
      await api.hold(image.id, this.client, this.user, true);
      this.held = true;
      this.queue.retry();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.delayed(error);
    }
  }

  async letGo() {
    const { held, image } = this;
    this.held = false;
    if (!image || !held) return;
    const gone = api.letGo(image.id, this.client);
    this.leaving.set(image.id, gone);
    await gone;
    if (this.leaving.get(image.id) === gone) this.leaving.delete(image.id);
  }

  /** Note an image's newest facts in the list. @param {WireImage} image */
  remember(image) {
    const entry = this.images.find((one) => one.id === image.id);
    if (entry) Object.assign(entry, { state: image.state, objects: image.objects, trust: image.trust ?? entry.trust });
  }

  /** @param {ApiError} error */
  sayError(error) {
    this.trouble = troubleOf(error);
    this.changes.tell("saved");
  }

  /** @param {string} text @param {Trouble["way"]} way */
  say(text, way) {
    this.trouble = { text, way };
    this.changes.tell("saved");
  }

  clearTrouble() {
    this.trouble = null;
    this.changes.tell("saved");
  }
}
