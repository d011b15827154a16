// Masks for prompts that are still being moved. One question is under way; of those asked meanwhile, the newest waits.

import { api } from "./api.js";

/** @typedef {import("./types.js").PreviewAnswer} PreviewAnswer */
/** @typedef {import("./types.js").Prompts} Prompts */
/** @typedef {Prompts & {slice: number, object: number | null, class?: number, candidate: number | null}} Question */
/** @typedef {(answer: PreviewAnswer | null) => void} Heard `null` if there is no mask for these prompts */

const LONGEST_WAIT_MS = 8000;

export class Previews {
  /** @param {() => void} dropped is told when questions are dropped because the connection was lost */
  constructor(dropped) {
    this.dropped = dropped;
    /** @type {number | null} */
    this.image = null;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.n = 0;
    /** @type {{n: number, heard: Heard} | null} */
    this.asked = null;
    /** @type {{question: Question, heard: Heard} | null} */
    this.waiting = null;
    /** How often questions were dropped: an answer that was asked for before is not shown any more. */
    this.forgotten = 0;
    this.failures = 0;
    this.begun = false;
  }

  /** Whether an answer is still to come. */
  get busy() {
    return this.asked !== null || this.waiting !== null;
  }

  /** Questions are about this image from now on. @param {number} image */
  open(image) {
    this.forget();
    this.image = image;
    this.failures = 0;
    this.begun = false;
    if (this.socket) end(this.socket);
    this.socket = null;
  }

  /** Connect, once; at the first question at the latest. */
  begin() {
    if (this.begun) return;
    this.begun = true;
    this.connect();
  }

  connect() {
    if (this.image === null) return;
    const socket = new WebSocket(api.preview(this.image));
    this.socket = socket;
    socket.addEventListener("open", () => {
      this.failures = 0;
      this.send();
    });
    socket.addEventListener("message", (event) => this.hear(String(event.data)));
    socket.addEventListener("close", () => this.lost(socket));
  }

  /** Connect again, a little later each time. @param {WebSocket} socket */
  lost(socket) {
    if (this.socket !== socket) return;
    this.socket = null;
    this.forget();
    this.dropped();
    this.failures += 1;
    const image = this.image;
    const wait = Math.min(LONGEST_WAIT_MS, 250 * 2 ** this.failures);
    setTimeout(() => this.image === image && !this.socket && this.connect(), wait);
  }

  /** @param {Question} question @param {Heard} heard is not called if a newer question comes before the answer */
  ask(question, heard) {
    this.waiting = { question, heard };
    this.begin();
    this.send();
  }

  send() {
    if (this.asked || !this.waiting || this.socket?.readyState !== WebSocket.OPEN) return;
    const { question, heard } = this.waiting;
    this.waiting = null;
    this.n += 1;
    this.asked = { n: this.n, heard };
    this.socket.send(JSON.stringify({ n: this.n, ...question }));
  }

  /** @param {string} text */
  hear(text) {
    const answer = JSON.parse(text);
    if (!this.asked || answer.n !== this.asked.n) return;
    const { heard } = this.asked;
    this.asked = null;
    this.send();
    heard(answer.error ? null : answer);
  }

  /** Drop what was asked; answers that still come are passed over. */
  forget() {
    this.asked = null;
    this.waiting = null;
    this.forgotten += 1;
  }
}

/** Close a connection, once there is one: browsers complain of one that is closed before. @param {WebSocket} socket */
function end(socket) {
  if (socket.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => socket.close());
  else socket.close();
}
