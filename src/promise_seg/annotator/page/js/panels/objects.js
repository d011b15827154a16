// The objects of the slice: which is active, and the class, lock, visibility and colour of each. Only the rows of
// objects that changed are made anew, so that an action costs the same with one object as with a hundred.

import { iconButton, make, part, refill } from "../dom.js";
import { rove } from "../roving.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../edits.js").Edits} Edits */
/** @typedef {import("../display.js").Display} Display */
/** @typedef {import("../types.js").Annotated} Annotated */

export class ObjectsPanel {
  /** @param {Session} session @param {Edits} edits @param {Display} display */
  constructor(session, edits, display) {
    this.session = session;
    this.edits = edits;
    this.display = display;
    this.list = part("object-list");
    /** @type {Map<number, {says: string, row: HTMLElement}>} */
    this.rows = new Map();
    this.revealed = "";
    const chosen = ".object[data-active] .choose";
    rove(this.list, { items: "button, input", chosen, shape: "grid", rows: "[role=row]" });
    session.changes.on(["objects", "image", "tool"], () => this.show());
  }

  show() {
    const { session } = this;
    const known = this.rows;
    this.rows = new Map();
    const rows = session.shown.map((one, at) => this.rowOf(one, `Object ${at + 1}`, known.get(one.id)));
    if (session.active === null && session.image) rows.push(this.newRow());
    refill(this.list, rows);
    const active = `${session.image?.id} ${session.active}`;
    if (active !== this.revealed) this.reveal();
    this.revealed = active;
  }

  /** Scroll the list, and nothing around it, to the row of the active object. */
  reveal() {
    const row = this.list.querySelector("[data-active]");
    if (!row) return;
    const [inside, whole] = [row.getBoundingClientRect(), this.list.getBoundingClientRect()];
    if (inside.top < whole.top) this.list.scrollTop -= whole.top - inside.top;
    else if (inside.bottom > whole.bottom) this.list.scrollTop += inside.bottom - whole.bottom;
  }

  /**
   * The row of an object: as it is if it still says all of it.
   * @param {Annotated} object @param {string} name @param {{says: string, row: HTMLElement}} [known]
   */
  rowOf(object, name, known) {
    const { id, accepted, hidden, locked, refines, region } = object;
    const { image, active } = this.session;
    const colour = this.display.colourOf(object);
    const states = [accepted, hidden, locked, refines, region.isEmpty];
    const says = JSON.stringify([image?.id, name, active === id, object.class, colour, ...states]);
    const kept = known?.says === says ? known : { says, row: this.row(object, name) };
    this.rows.set(id, kept);
    return kept.row;
  }

  /** @param {Annotated} object @param {string} name */
  row(object, name) {
    const { session, display } = this;
    const active = session.active === object.id;
    const states = { "data-key": `choose-${object.id}`, "aria-pressed": String(active) };
    const choose = make("button", { type: "button", class: "choose", ...states },
      `${name}${active ? "" : `, ${this.className(object.class)}`}${object.accepted ? " \u2713" : ""}`);
    if (object.accepted) choose.setAttribute("aria-label", `${name}, ${this.className(object.class)}, accepted`);
    choose.addEventListener("click", () => this.activate(object.id));
    const value = display.colourOf(object);
    const label = { "aria-label": `Colour of ${name}`, "data-key": `colour-${object.id}` };
    const colour = make("input", { type: "color", value, ...label });
    colour.addEventListener("change", () => display.setColour(object.id, colour.value));
    const row = make("div", { class: "object", role: "row", "data-object": String(object.id) }, ...[colour, choose,
      this.toggle(object, "hidden", object.hidden ? "eye-off" : "eye", `Hide ${name}`),
      this.toggle(object, "locked", object.locked ? "lock" : "unlock", `Lock ${name}`),
      this.action(`delete-${object.id}`, "delete", `Delete ${name}`, () => this.remove(object))].map(cell));
    if (active) {
      row.dataset.active = "";
      row.append(this.details(object, name));
    }
    return row;
  }

  /** The object that the next prompt begins. */
  newRow() {
    const { edits, session } = this;
    const row = make("div", { class: "object", role: "row", "data-active": "" });
    const value = this.display.colourOfClass(edits.classOfNew);
    const label = "Colour of the new object";
    const swatch = make("input", { type: "color", value, disabled: "", "aria-label": label });
    const classes = this.classes(edits.classOfNew, "Class of the new object", (id) => {
      edits.newClass = id;
      session.changes.tell("objects");
    });
    const details = make("div", { class: "details", role: "gridcell" }, classes);
    row.append(cell(swatch), cell(make("span", { class: "soft" }, "New object: click on the image")), details);
    return row;
  }

  /** @param {Annotated} object @param {string} name */
  details(object, name) {
    const details = make("div", { class: "details", role: "gridcell" },
      this.classes(object.class, `Class of ${name}`, (id) => this.set(object, { class: id })));
    const says = object.refines ? "Refining" : "Refine";
    const refine = make("button", { type: "button", "data-key": `refine-${object.id}` }, says);
    refine.title = "Start the model from this mask, and correct it by points";
    refine.disabled = object.refines || object.region.isEmpty || object.locked;
    refine.addEventListener("click", () => void this.session.act({ type: "refine", object: object.id }));
    details.append(refine);
    return details;
  }

  /** @param {number} chosen @param {string} says @param {(id: number) => void} picked */
  classes(chosen, says, picked) {
    const select = make("select", { "aria-label": says, "data-key": says });
    for (const [at, { id, name }] of (this.session.project?.classes ?? []).entries()) {
      const option = make("option", { value: String(id) }, at < 9 ? `${at + 1}  ${name}` : name);
      option.selected = id === chosen;
      select.append(option);
    }
    select.addEventListener("change", () => picked(Number(select.value)));
    return select;
  }

  /** @param {Annotated} object @param {"hidden" | "locked"} what @param {string} picture @param {string} says */
  toggle(object, what, picture, says) {
    const made = this.action(`${what}-${object.id}`, picture, says, () => this.set(object, { [what]: !object[what] }));
    made.setAttribute("aria-pressed", String(object[what]));
    return made;
  }

  /** @param {string} key @param {string} picture @param {string} says @param {() => void} pressed */
  action(key, picture, says, pressed) {
    const made = iconButton(picture, says, pressed);
    made.dataset.key = key;
    return made;
  }

  /** @param {number} id */
  className(id) {
    return this.session.project?.classes.find((one) => one.id === id)?.name ?? `class ${id}`;
  }

  /** @param {number | null} id `null` for a new object */
  activate(id) {
    const { edits, session } = this;
    if (session.active === id && !edits.adding) return;
    edits.leaveObject();
    session.active = id;
    session.changes.tell("objects", "prompts");
    const at = session.shown.findIndex((one) => one.id === id);
    session.announce(at < 0 ? "New object: the next prompt begins it" : `Object ${at + 1} of ${session.shown.length}`);
  }

  /** The object that is so many places further on. @param {number} step */
  step(step) {
    const ids = this.session.shown.map((one) => one.id);
    if (!ids.length) return;
    const at = this.session.active === null ? -1 : ids.indexOf(this.session.active);
    this.activate(ids[(Math.max(at, step > 0 ? -1 : 0) + step + ids.length) % ids.length]);
  }

  /** @param {Annotated} object @param {Record<string, unknown>} values */
  async set(object, values) {
    await this.session.act({ type: "properties", object: object.id, ...values });
  }

  /** @param {Annotated} object */
  async remove(object) {
    if (object.locked) return this.session.announce("The object is locked. Press L to unlock it");
    this.edits.forget();
    await this.session.act({ type: "remove", object: object.id });
  }
}

/** A control as a cell of its row. @param {HTMLElement} control */
function cell(control) {
  return make("span", { class: "cell", role: "gridcell" }, control);
}
