// The overlay of all keys, in which each can be changed.

import { button, byId, make, part } from "../dom.js";
import { chordOf, shown } from "../keymap.js";
import { rove } from "../roving.js";

/** @typedef {import("../keymap.js").KeyMap} KeyMap */

const ALONE = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Dead"]);

export class KeysPanel {
  /** @param {KeyMap} keys @param {() => void} changed */
  constructor(keys, changed) {
    this.keys = keys;
    this.changed = changed;
    this.dialog = byId("keys", HTMLDialogElement);
    /** @type {string | null} the command that waits for its key */
    this.waiting = null;
    button("show-keys").addEventListener("click", () => this.toggle());
    button("close-keys").addEventListener("click", () => this.dialog.close());
    button("reset-keys").addEventListener("click", () => {
      keys.reset();
      this.tell("The original keys are back");
    });
    rove(part("key-groups"), { items: "button", chosen: "[data-waiting]", shape: "column" });
    this.dialog.addEventListener("keydown", (event) => this.take(event), { capture: true });
    this.dialog.addEventListener("close", () => (this.waiting = null));
  }

  toggle() {
    if (this.dialog.open) return this.dialog.close();
    this.show();
    part("keys-status").textContent = "";
    this.dialog.showModal();
  }

  show() {
    const sections = [...grouped(this.keys.commands)].map(([name, commands]) => {
      const section = make("section", { class: "key-group" }, make("h3", {}, name));
      for (const { id, says, keys } of commands) {
        section.append(make("div", {}, make("span", {}, says), this.keyButton(id, says, keys)));
      }
      return section;
    });
    part("key-groups").replaceChildren(...sections);
  }

  /** @param {string} id @param {string} says @param {string[]} keys */
  keyButton(id, says, keys) {
    const waits = this.waiting === id;
    const text = waits ? "Press a key" : keys.map(shown).join("  or  ") || "none";
    const made = make("button", { type: "button", "data-command": id, "aria-label": `${says}: ${text}` }, text);
    if (waits) made.dataset.waiting = "";
    made.addEventListener("click", () => {
      this.waiting = id;
      this.show();
      this.focus(id);
    });
    return made;
  }

  /** @param {string} id */
  focus(id) {
    /** @type {HTMLElement | null} */ (this.dialog.querySelector(`[data-command="${id}"]`))?.focus();
  }

  /** @param {KeyboardEvent} event */
  take(event) {
    if (event.key === "F1") {
      event.preventDefault();
      return this.dialog.close();
    }
    const id = this.waiting;
    if (id === null || ALONE.has(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    this.waiting = null;
    if (event.key === "Escape") this.tell("Nothing was changed");
    else {
      this.keys.give(id, chordOf(event));
      this.tell(`The key is ${shown(chordOf(event))} now`);
    }
    this.focus(id);
  }

  /** @param {string} text */
  tell(text) {
    this.show();
    part("keys-status").textContent = text;
    this.changed();
  }
}

/** The commands of each group. @param {KeyMap["commands"]} commands */
function grouped(commands) {
  /** @type {Map<string, KeyMap["commands"]>} */
  const groups = new Map();
  for (const one of commands) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
  return groups;
}
