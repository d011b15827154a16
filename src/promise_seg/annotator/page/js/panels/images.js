// The list of images with their state and trust, the least certain first.

import { byId, make, part, refill } from "../dom.js";
import { api } from "../api.js";
import { rove } from "../roving.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../types.js").ImageEntry} ImageEntry */

const TRUST =
  "How good the model's proposal is expected to be, from 0 to 1. The images with the least trust come first";

export class ImagesPanel {
  /** @param {Session} session @param {(id: number) => void} open */
  constructor(session, open) {
    this.session = session;
    this.open = open;
    this.list = part("image-list");
    this.filter = byId("filter", HTMLSelectElement);
    this.filter.addEventListener("change", () => this.show());
    /** @type {Map<number, HTMLLIElement>} */
    this.rows = new Map();
    rove(this.list, { items: "[role=option]", chosen: "[aria-current=true]", shape: "column" });
    session.changes.on(["images", "image"], () => this.show());
  }

  get visible() {
    const { images, image } = this.session;
    const state = this.filter.value;
    return images.filter((one) => state === "all" || one.state === state || one.id === image?.id);
  }

  show() {
    const { images, project } = this.session;
    const rows = this.visible.map((one) => this.row(one));
    const unreadable = this.filter.value === "all" ? (project?.unreadable ?? []) : [];
    refill(this.list, [...rows, ...unreadable.map(unreadableRow)]);
    const done = images.filter((one) => one.state === "done").length;
    part("progress").textContent = `${done} of ${images.length} done`;
  }

  /** @param {ImageEntry} entry */
  row(entry) {
    const row = this.rows.get(entry.id) ?? this.newRow(entry);
    this.rows.set(entry.id, row);
    row.dataset.imageState = entry.state;
    const current = entry.id === this.session.image?.id;
    const [button] = row.children;
    button.setAttribute("aria-current", String(current));
    button.setAttribute("aria-selected", String(current));
    const [, , state, trust] = button.children;
    state.textContent = stateOf(entry, this.session);
    trust.textContent = entry.trust === null ? "" : `trust ${entry.trust.toFixed(2)}`;
    return row;
  }

  /** @param {ImageEntry} entry */
  newRow(entry) {
    const picture = make("img", { src: api.thumbnail(entry.id), alt: "", loading: "lazy", width: "48", height: "45" });
    const attributes = { type: "button", role: "option", title: entry.name, "data-key": `image-${entry.id}` };
    const trust = make("span", { class: "trust", title: TRUST });
    const name = make("span", { class: "name" }, entry.name);
    const button = make("button", attributes, picture, name, make("span", { class: "state" }), trust);
    button.addEventListener("click", () => this.open(entry.id));
    return make("li", { role: "none", "data-image": String(entry.id) }, button);
  }

  /** The image before or after the open one in the list. @param {number} step @param {boolean} [onlyOpen] */
  beside(step, onlyOpen = false) {
    const entries = this.visible;
    const at = entries.findIndex((one) => one.id === (this.session.target ?? this.session.image?.id));
    for (let place = at + step; place >= 0 && place < entries.length; place += step) {
      if (!onlyOpen || entries[place].state === "open") return entries[place];
    }
    return onlyOpen ? entries.find((one) => one.state === "open") : undefined;
  }

  /** Bring the open image into sight. */
  reveal() {
    const id = this.session.image?.id;
    if (id !== undefined) this.rows.get(id)?.scrollIntoView({ block: "nearest" });
  }
}

/** @param {ImageEntry} entry @param {Session} session */
function stateOf(entry, session) {
  if (entry.changed) return "file changed or gone";
  const { holder } = entry;
  if (holder && entry.id !== session.image?.id) return `${entry.state}, ${holder.user ?? "somebody"} has it`;
  return entry.state;
}

/** @param {{name: string, reason: string}} entry */
function unreadableRow({ name, reason }) {
  const after = reason.indexOf(`${name}: `); // the reason begins with the file's path
  const why = after < 0 ? reason : reason.slice(after + name.length + 2);
  const states = { "aria-disabled": "true", "aria-selected": "false" };
  const attributes = { role: "option", ...states, tabindex: "-1", title: reason };
  return make("li", { ...attributes, "data-image-state": "unreadable", class: "unreadable" },
    make("span", { class: "name" }, name), make("span", { class: "state" }, why));
}
