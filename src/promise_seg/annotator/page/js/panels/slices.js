// The slices of a volume, and what the slice before offers to this one.

import { counted } from "../answers.js";
import { button, input, make, part } from "../dom.js";
import { pack } from "../masks.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../types.js").Annotated} Annotated */

export class SlicesPanel {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.slider = input("slice");
    /** @type {number | null} the newest wish while a slice is being opened */
    this.wanted = null;
    this.going = false;
    this.offers = /** @type {const} */ (["prompts", "mask"]).map((what) => {
      const made = make("button", { type: "button", "data-offer": what });
      made.addEventListener("click", () => this.neighbours && void this.copy(this.neighbours.found, what));
      return { made, words: what === "mask" ? "masks" : what };
    });
    part("slice-actions").replaceChildren(...this.offers.map((one) => one.made));
    this.slider.addEventListener("input", () => void this.goTo(Number(this.slider.value)));
    button("slice-back").addEventListener("click", () => void this.step(-1));
    button("slice-on").addEventListener("click", () => void this.step(1));
    session.changes.on(["image", "objects"], () => this.show());
    const bar = part("slices");
    const { style } = document.documentElement;
    new ResizeObserver(() => style.setProperty("--slices-height", `${bar.offsetHeight}px`)).observe(bar);
  }

  show() {
    const { image, slice } = this.session;
    part("slices").hidden = !image || image.slices < 2;
    if (!image || image.slices < 2) return;
    this.slider.max = String(image.slices - 1);
    this.slider.value = String(slice);
    part("slice-text").textContent = `${slice + 1} of ${image.slices}`;
    button("slice-back").disabled = slice === 0;
    button("slice-on").disabled = slice === image.slices - 1;
    this.showOffers();
  }

  /** @param {number} step */
  step(step) {
    return this.goTo((this.wanted ?? this.session.slice) + step);
  }

  /** @param {number} slice */
  async goTo(slice) {
    this.wanted = slice;
    if (this.going) return;
    this.going = true;
    while (this.wanted !== null) {
      const next = this.wanted;
      this.wanted = null;
      await this.session.goTo(next);
    }
    this.going = false;
  }

  /** Objects of the slice nearest to this one on either side, the one before first. */
  get neighbours() {
    const { objects, slice } = this.session;
    for (const beside of [slice - 1, slice + 1]) {
      const found = [...objects.values()].filter((one) => one.slice === beside && !one.region.isEmpty);
      if (found.length) return { beside, found };
    }
    return null;
  }

  /** The offers are always there, so that the image keeps its size from slice to slice. */
  showOffers() {
    const { neighbours, session } = this;
    const beside = neighbours?.beside ?? (session.slice || 2) - 1;
    for (const { made, words } of this.offers) {
      const says = `Copy ${words} of slice ${beside + 1}`;
      if (made.textContent !== says) made.textContent = says;
      made.disabled = !neighbours || !session.mayEdit;
    }
  }

  /** Begin objects here with what others have. @param {Annotated[]} objects @param {"prompts" | "mask"} what */
  async copy(objects, what) {
    const { session } = this;
    const { image, slice } = session;
    const answers = await Promise.all(objects.map((object) => {
      const { points, box } = object;
      const prompted = what === "prompts" && (points.length > 0 || box);
      const given = prompted ? { points, ...(box ? { box } : {}) } : { mask: pack(object.region) };
      return session.act({ type: "add", slice, class: object.class, ...given });
    }));
    if (answers.includes(null)) return;
    const added = answers.at(-1)?.changed[0];
    if (added && session.image?.id === image?.id && session.slice === slice) session.active = added.id;
    session.changes.tell("objects", "prompts");
    session.announce(`Copied ${counted(objects.length, "object")}`);
  }
}
