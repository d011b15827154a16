// Actions on their way to the server, one after the other. An action without an answer is sent again as it was, under
// the same id, until it is answered: the server does nothing twice.

import { ApiError, api } from "./api.js";
import { newUuid } from "./uuid.js";

/** @typedef {import("./types.js").Action} Action */
/** @typedef {import("./types.js").ActionAnswer} ActionAnswer */
/** @typedef {{id: string, client: string, revision: number, action: Action}} Body */
/**
 * @typedef {object} Waiting
 * @property {Action} action its mask, and the id of its object, may still be on their way
 * @property {number} image
 * @property {Body | null} body as it was first sent
 * @property {boolean} heldAgain whether the image was held again for this try
 * @property {(answer: ActionAnswer | null) => void} done
 * @property {Promise<ActionAnswer | null>} settled
 */
/**
 * @typedef {object} Owner
 * @property {() => number} revision the newest that is known
 * @property {(answer: ActionAnswer, action: Action) => Promise<void>} answered
 * @property {(error: ApiError, action: Action) => Promise<void>} refused the action is dropped, and all behind it
 * @property {(error: ApiError | null) => void} delayed it is kept and tried again; `null` once it went through
 * @property {(image: number) => Promise<void>} holdAgain an image that this tab lost; throws if somebody else has it
 */

// After these the same action may succeed: the annotator answers again, was started anew, or has space again.
const KEPT = new Set(["unreachable", "failed", "not-stored", "no-session", "too-slow"]);
const HISTORY = new Set(["undo", "redo"]);
const LONGEST_WAIT_MS = 10000;

export class ActionQueue {
  /** @param {string} client @param {Owner} owner */
  constructor(client, owner) {
    this.client = client;
    this.owner = owner;
    /** @type {Waiting[]} */
    this.waiting = [];
    /** @type {Waiting | null} what was answered, until the owner has heard it */
    this.answered = null;
    this.sending = false;
    this.failures = 0;
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  get isEmpty() {
    return this.waiting.length === 0 && this.answered === null;
  }

  /** @param {number} image @param {Action} action @returns {Promise<ActionAnswer | null>} `null` if it was refused */
  push(image, action) {
    /** @type {Waiting["done"]} */
    let done = () => {};
    const settled = new Promise((/** @type {Waiting["done"]} */ resolve) => (done = resolve));
    this.waiting.push({ action, image, body: null, heldAgain: false, done, settled });
    void this.send();
    return settled;
  }

  /**
   * Wait for what is on its way.
   * @returns {Promise<boolean>} whether all of it arrived; not where it must be tried again
   */
  async drained() {
    while (!this.isEmpty && !this.failures) await (this.waiting.at(-1) ?? this.answered)?.settled;
    return this.isEmpty;
  }

  /**
   * Whether an action asks again for what waits already: it would be refused, and take with it what comes after.
   * @param {Action} action
   */
  repeats(action) {
    const actions = this.waiting.map((one) => one.action);
    if (action.type === "accept" || action.type === "skip") return actions.at(-1)?.type === action.type;
    if (action.type !== "remove") return false;
    const since = actions.slice(actions.findLastIndex((one) => HISTORY.has(one.type)) + 1);
    return since.some((one) => one.type === "remove" && one.object === action.object);
  }

  /** The prompts that wait to be sent for an object, if any. @param {number} object @returns {Action | undefined} */
  promptsOf(object) {
    return this.waiting.map((one) => one.action).findLast((one) => one.type === "prompts" && one.object === object);
  }

  /** Try at once what is waiting for its next try. */
  retry() {
    clearTimeout(this.timer);
    void this.send();
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    try {
      while (this.waiting.length && (await this.sendFirst()));
    } finally {
      this.sending = false;
    }
  }

  /** @returns {Promise<boolean>} whether to go on */
  async sendFirst() {
    const first = this.waiting[0];
    first.body ??= {
      id: newUuid(), client: this.client, action: await packed(first.action), revision: this.owner.revision(),
    };
    let answer;
    try {
      answer = await api.act(first.image, first.body);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return error.code === "not-held" && !first.heldAgain ? this.holdAgain(first) : this.failed(error);
    }
    this.waiting.shift();
    this.answered = first;
    if (this.failures) this.owner.delayed(null);
    this.failures = 0;
    try {
      await this.owner.answered(answer, first.action);
    } finally {
      this.answered = null;
      first.done(answer);
    }
    return true;
  }

  /** Go on where nobody else took the image meanwhile. @param {Waiting} first @returns {Promise<boolean>} */
  async holdAgain(first) {
    first.heldAgain = true;
    try {
      await this.owner.holdAgain(first.image);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return this.failed(error);
    }
  }

  /**
   * Whether the action stays. While work waited for the annotator to be started anew, another tab of the same person
   * may have opened the image: that is no reason to drop the work.
   * @param {ApiError} error
   */
  keeps(error) {
    return KEPT.has(error.code) || (error.code === "held" && this.failures > 0);
  }

  /** @param {ApiError} error */
  async failed(error) {
    if (this.keeps(error)) {
      this.failures += 1;
      this.waiting[0].heldAgain = false;
      this.owner.delayed(error);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.send(), Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.failures));
      return false;
    }
    const dropped = this.waiting.splice(0);
    this.answered = dropped[0];
    this.failures = 0;
    try {
      await this.owner.refused(error, dropped[0].action);
    } finally {
      this.answered = null;
      for (const one of dropped) one.done(null);
    }
    return true; // with what was asked for meanwhile
  }
}

/**
 * An action with its mask, once that is packed, and with the id of its object, once that is known.
 * @param {Action} action @returns {Promise<Action>}
 */
async function packed(action) {
  const whole = { ...action };
  for (const part of ["mask", "object"]) if (part in whole) whole[part] = await whole[part];
  return whole;
}
