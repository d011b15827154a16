// From keys to commands. Keys in fields are the field's; Space and Enter on a button are the button's.
// Tab held on the canvas postpones the model; Tab pressed and released there goes to the next control, as everywhere.

import { chordOf } from "./keymap.js";

/** @typedef {import("./keymap.js").KeyMap} KeyMap */

const FIELDS = "input:not([type=range]):not([type=checkbox]):not([type=radio]), select, textarea, dialog *";
const CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex]";
const OF_RANGE = /^(Arrow|Page)|^(Home|End)$/;

export class Keyboard {
  /**
   * @param {KeyMap} keys
   * @param {HTMLElement} canvas
   * @param {{run: (id: string) => void, release: (id: string) => void, used: () => boolean}} commands `used` says
   *   whether anything was done while the model was postponed.
   */
  constructor(keys, canvas, commands) {
    this.keys = keys;
    this.canvas = canvas;
    this.commands = commands;
    /** @type {Map<string, {id: string, shift: boolean}>} */
    this.held = new Map();
    document.addEventListener("keydown", (event) => this.down(event));
    document.addEventListener("keyup", (event) => this.up(event));
    window.addEventListener("blur", () => this.releaseAll());
  }

  /** @param {KeyboardEvent} event */
  down(event) {
    if (event.isComposing || event.defaultPrevented) return;
    const chord = chordOf(event);
    const command = this.keys.commandOf(chord) ?? this.shiftedTab(event);
    if (!command || this.belongsElsewhere(event, command.id)) return;
    event.preventDefault();
    if (!command.held) return this.commands.run(command.id);
    if (event.repeat || this.held.has(event.code)) return;
    this.held.set(event.code, { id: command.id, shift: event.shiftKey });
    this.commands.run(command.id);
  }

  /** Shift+Tab on the canvas goes back when it is released, as Tab goes on. @param {KeyboardEvent} event */
  shiftedTab(event) {
    if (event.key !== "Tab" || !event.shiftKey || document.activeElement !== this.canvas) return undefined;
    return this.keys.commandOf("Tab");
  }

  /** @param {KeyboardEvent} event @param {string} id */
  belongsElsewhere(event, id) {
    const target = event.target instanceof Element ? event.target : document.body;
    const onCanvas = target === this.canvas || target === document.body;
    if (event.key === "Tab") return target !== this.canvas;
    if (target.matches(FIELDS)) return !(id === "keys" && event.key === "F1");
    if (onCanvas || event.ctrlKey || event.metaKey) return false;
    if (target.matches("input[type=range], input[type=radio]") && OF_RANGE.test(event.key)) return true;
    return event.key === " " || event.key === "Enter" || event.key.startsWith("Arrow");
  }

  /** @param {KeyboardEvent} event */
  up(event) {
    const held = this.held.get(event.code);
    if (!held) return;
    this.held.delete(event.code);
    const used = this.commands.used();
    this.commands.release(held.id);
    if (event.key === "Tab" && !used) this.moveFocus(held.shift ? -1 : 1);
  }

  releaseAll() {
    for (const { id } of this.held.values()) this.commands.release(id);
    this.held.clear();
  }

  /** @param {number} step */
  moveFocus(step) {
    const controls = [...document.querySelectorAll(CONTROLS)].filter(
      (one) => one instanceof HTMLElement && one.tabIndex >= 0 && !one.matches(":disabled") && one.checkVisibility(),
    );
    const at = controls.indexOf(this.canvas);
    const next = controls[(at + step + controls.length) % controls.length];
    if (next instanceof HTMLElement) next.focus();
  }
}
