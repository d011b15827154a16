// Actions on their way to the server, one after the other. An action without an answer is sent again as it was, under
// the same id, until it is answered: the server does nothing twice.

import { ApiError, api } from "./api.js";

/** @typedef {import("./types.js").Action} Action */
/** @typedef {import("./types.js").ActionAnswer} ActionAnswer */
/** @typedef {{id: string, client: string, revision: number, action: Action}} Body */
/**
 * @typedef {object} Waiting
 * @property {Action} action
 * @property {number} image
 * @property {Body | null} body as it was first sent
 * @property {(answer: ActionAnswer | null) => void} done
 * @property {Promise<ActionAnswer | null>} settled
 */
/**
 * @typedef {object} Owner
 * @property {() => number} revision the newest that is known
 * @property {(answer: ActionAnswer, action: Action) => Promise<void>} answered
 * @property {(error: ApiError, action: Action) => Promise<void>} refused the action is dropped, and all behind it
 * @property {(error: ApiError | null) => void} delayed it is kept and tried again; `null` once it went through
 */

const KEPT = new Set(["unreachable", "failed", "not-stored"]);
const LONGEST_WAIT_MS = 10000;

export class ActionQueue {
  /** @param {string} client @param {Owner} owner */
  constructor(client, owner) {
    this.client = client;
    this.owner = owner;
    /** @type {Waiting[]} */
    this.waiting = [];
    this.sending = false;
    this.failures = 0;
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  get isEmpty() {
    return this.waiting.length === 0;
  }

  /** @param {number} image @param {Action} action @returns {Promise<ActionAnswer | null>} `null` if it was refused */
  push(image, action) {
    /** @type {Waiting["done"]} */
    let done = () => {};
    const settled = new Promise((/** @type {Waiting["done"]} */ resolve) => (done = resolve));
    this.waiting.push({ action, image, body: null, done, settled });
    void this.send();
    return settled;
  }

  /** Wait for what is on its way. @returns {Promise<boolean>} whether all of it arrived; not where it must be tried again */
  async drained() {
    while (this.waiting.length && !this.failures) await this.waiting[this.waiting.length - 1].settled;
    return this.isEmpty;
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
      id: crypto.randomUUID(), client: this.client, revision: this.owner.revision(), action: first.action,
    };
    try {
      const answer = await api.act(first.image, first.body);
      this.waiting.shift();
      if (this.failures) this.owner.delayed(null);
      this.failures = 0;
      await this.owner.answered(answer, first.action);
      first.done(answer);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return this.failed(error);
    }
  }

  /** @param {ApiError} error */
  async failed(error) {
    if (KEPT.has(error.code)) {
      this.failures += 1;
      this.owner.delayed(error);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.send(), Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.failures));
      return false;
    }
    const dropped = this.waiting.splice(0);
    if (this.failures) this.owner.delayed(null);
    this.failures = 0;
    await this.owner.refused(error, dropped[0].action);
    for (const one of dropped) one.done(null);
    return false;
  }
}
