// SAM's three masks of the active object with their scores; the pointer over one shows it.

import { make, part, refill } from "../dom.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../edits.js").Edits} Edits */

export class CandidatesPanel {
  /** @param {Session} session @param {Edits} edits */
  constructor(session, edits) {
    this.session = session;
    this.edits = edits;
    this.box = part("candidates");
    this.legend = this.box.querySelector("legend");
    this.box.addEventListener("pointerleave", () => edits.endHover());
    this.shown = "";
    session.changes.on(["objects", "image"], () => this.show());
  }

  show() {
    const object = this.session.activeObject;
    const candidates = object?.candidates ?? [];
    part("candidates-section").hidden = candidates.length < 2;
    const now = JSON.stringify([object?.id, object?.chosen, object?.locked, candidates]);
    if (now === this.shown) return;
    this.shown = now;
    const locked = object?.locked ?? false;
    const choices = candidates.map((one, at) => this.choice(at, one.score, at === object?.chosen, locked));
    refill(this.box, [...(this.legend ? [this.legend] : []), ...choices]);
  }

  /** @param {number} at @param {number} score @param {boolean} chosen @param {boolean} locked */
  choice(at, score, chosen, locked) {
    const radio = make("input", { type: "radio", name: "candidate", value: String(at), "data-key": `candidate-${at}` });
    radio.checked = chosen;
    radio.disabled = locked;
    radio.addEventListener("change", () => void this.choose(at));
    const label = make("label", {}, radio, make("span", {}, `Mask ${at + 1}`, make("small", {}, score.toFixed(2))));
    label.addEventListener("pointerenter", () => {
      const prompts = this.session.activeObject;
      if (prompts && !locked) this.edits.hover(prompts, at);
    });
    return label;
  }

  /** @param {number} candidate */
  async choose(candidate) {
    const object = this.session.activeObject;
    this.edits.endHover();
    if (object) await this.session.act({ type: "candidate", object: object.id, candidate });
  }

  async next() {
    const object = this.session.activeObject;
    if (!object) return;
    // A proposal that was separated from its neighbours has no candidates yet; the first choice asks SAM for them.
    const isAsked = object.candidates.length > 1;
    if (!isAsked && !(object.automatic && (object.points.length || object.box))) return;
    await this.choose(isAsked ? ((object.chosen ?? -1) + 1) % object.candidates.length : 0);
  }
}
