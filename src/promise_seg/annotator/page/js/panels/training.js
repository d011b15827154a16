// Learning from accepted images: the offer, how far training is, and whether the new model is better.

import { counted } from "../answers.js";
import { ApiError, api } from "../api.js";
import { byId, button, part } from "../dom.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../types.js").Training} Training */

const PAUSE_MS = 1000;

export class TrainingPanel {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    /** @type {Training | null} */
    this.training = null;
    /** @type {number | null} the model that answers, as far as the page knows */
    this.model = null;
    this.accepted = -1;
    this.asking = false;
    /** Whether to ask again once the answer is there, because something changed after it was asked for. */
    this.again = false;
    /** @type {number | undefined} */
    this.timer = undefined;
    this.bar = byId("learning-progress", HTMLProgressElement);
    button("learn").addEventListener("click", () => void this.take(() => api.train(true)));
    button("learn-on").addEventListener("click", () => void this.take(() => api.train(false)));
    button("learn-stop").addEventListener("click", () => void this.take(() => api.stopTraining()));
    session.changes.on(["images"], () => this.heed());
  }

  /** Ask again where images were accepted since, or not any more. */
  heed() {
    const accepted = this.session.images.filter((one) => one.state === "done").length;
    if (accepted === this.accepted) return;
    this.accepted = accepted;
    void this.ask();
  }

  async ask() {
    if (this.asking) this.again = true;
    else await this.take(() => api.training(), true);
  }

  /**
   * @param {() => Promise<Training>} request @param {boolean} [quiet] if no answer comes: it is asked for again later
   */
  async take(request, quiet = false) {
    clearTimeout(this.timer);
    this.asking = true;
    try {
      const found = await request();
      const { model } = this;
      this.training = found;
      this.model = found.model.id;
      this.show();
      if (model !== null && model !== found.model.id) await this.session.renew();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!quiet || error.code !== "unreachable") this.session.say(error.message, null);
    } finally {
      this.asking = false;
    }
    if (this.again) {
      this.again = false;
      return this.ask();
    }
    if (this.training?.state === "running") this.timer = setTimeout(() => void this.ask(), PAUSE_MS);
  }

  show() {
    const { training } = this;
    if (!training) return;
    const { state, progress, offered } = training;
    const running = state === "running";
    const says = words(training);
    part("learning").hidden = !says && !offered;
    part("learning").dataset.training = state;
    if (part("learning-text").textContent !== says) part("learning-text").textContent = says;
    this.bar.hidden = !running;
    if (progress?.total) {
      this.bar.max = progress.total;
      this.bar.value = progress.done;
    } else this.bar.removeAttribute("value");
    button("learn").hidden = running || !(offered || state === "interrupted");
    button("learn-on").hidden = state !== "interrupted";
    button("learn-stop").hidden = !running;
  }
}

/** @param {Training} training */
function words({ state, reason, progress, accepted, offered, result }) {
  if (state === "running") return progress?.stage ? stageOf(progress) : "Training begins";
  const parts = [];
  if (state === "failed") parts.push(`Training ended without a new model: ${reason}`);
  else if (state === "interrupted") parts.push("Training was interrupted");
  else if (result) parts.push(outcome(result));
  if (offered) parts.push(`${accepted} images are accepted: the model can learn from them`);
  return parts.map((one) => one.replace(/[^.?!]$/, "$&.")).join(" ");
}

/** @param {import("../types.js").TrainingProgress} progress */
function stageOf({ stage, done, total, note, seconds_left: left }) {
  const time = left === null ? "" : `, ${left < 90 ? `${Math.ceil(left)} s` : `${Math.ceil(left / 60)} min`} left`;
  return `${stage}: ${done} of ${total}${note ? `, ${note}` : ""}${time}`;
}

/** @param {import("../types.js").TrainingResult} result */
function outcome({ before, after, images, slices, edited, took_over: tookOver }) {
  const count = edited === null ? "" : ` (${edited} of ${slices} ${slices === 1 ? "mask" : "masks"} edited)`;
  const dice = `Dice ${before.toFixed(3)} before, ${after.toFixed(3)} after`;
  const scores = `${dice}, on ${counted(images, "held-out image")}${count}`;
  if (tookOver) return `A new model took over: ${scores}`;
  const said = after > before ? "The new model is not in use" : "The new model is not better, so the old one stays";
  return `${said}: ${scores}`;
}
