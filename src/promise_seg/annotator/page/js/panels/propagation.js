// Objects of a slice of a volume propagated to the following slices, or to those before it: one step of undo.

import { counted } from "../answers.js";
import { ApiError, api } from "../api.js";
import { byId, button, input, part } from "../dom.js";

/** @typedef {import("../session.js").Session} Session */

const PAUSE_MS = 300;

export class PropagationPanel {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.last = input("propagate-last");
    this.source = byId("propagate-source", HTMLSelectElement);
    this.bar = byId("propagation-progress", HTMLProgressElement);
    /** @type {number | null} the image in which it is under way */
    this.running = null;
    /** @type {number | null} */
    this.image = null;
    button("propagate").addEventListener("click", () => void this.propagate());
    button("propagate-stop").addEventListener("click", () => void this.stop());
    session.changes.on(["image", "objects", "saved"], () => this.show());
  }

  show() {
    const { image, mayEdit, shown } = this.session;
    if (!image || image.slices < 2) return;
    if (this.image !== image.id) {
      this.image = image.id;
      this.last.max = String(image.slices);
      this.last.value = String(image.slices);
    }
    const here = this.running === image.id;
    part("propagation").hidden = !mayEdit;
    button("propagate").disabled = this.running !== null || !shown.some((one) => !one.hidden && !one.region.isEmpty);
    this.bar.hidden = !here;
    button("propagate-stop").hidden = !here;
  }

  async propagate() {
    const { session } = this;
    const { image, slice } = session;
    const last = Number(this.last.value) - 1;
    if (!image || this.running !== null) return;
    if (!Number.isInteger(last) || last < 0 || last >= image.slices || last === slice) {
      return session.announce(`Give another slice from 1 to ${image.slices}`);
    }
    this.running = image.id;
    this.bar.removeAttribute("value");
    void this.watch(image.id);
    const answer = await session.act({ type: "propagate", slice, last, source: this.source.value });
    this.running = null;
    this.show();
    if (!answer) return;
    const slices = new Set(answer.changed.map((one) => one.slice)).size;
    const said = answer.changed.length
      ? `Propagated to ${counted(slices, "slice")}; undo takes it back in one step`
      : "Nothing was found in the next slice";
    session.announce(answer.note ? `${said}. ${answer.note}` : said);
  }

  /** Show how far it is, as long as it is under way. @param {number} id */
  async watch(id) {
    while (this.running === id) {
      try {
        const { running, done, total } = await api.propagation(id);
        if (running && total) Object.assign(this.bar, { max: total, value: done });
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // the action itself is tried again, and says so
      }
      await new Promise((heard) => setTimeout(heard, PAUSE_MS));
    }
  }

  async stop() {
    if (this.running === null) return;
    try {
      await api.stopPropagation(this.running);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.session.say(error.message, null);
    }
  }
}
