// Which keys do what. Every line can be changed in the overlay of keys; changes are kept in the browser.

/**
 * @typedef {object} Command
 * @property {string} id
 * @property {string} says
 * @property {string} group
 * @property {string[]} keys as the browser names them, modifiers first: "Ctrl+Shift+Z"
 * @property {boolean} [held] whether it lasts as long as the key is held
 */

const KEPT = "promise-annotator-keys";

/** @param {string} id @param {string} says @param {string} keys separated by spaces */
const command = (id, says, keys, held = false) => ({ id, says, keys: keys.split(" ").filter(Boolean), held });

const GROUPS = {
  Tools: [
    command("tool-point", "Points", "P"),
    command("tool-box", "Box", "R"),
    command("tool-brush", "Brush", "B"),
    command("tool-eraser", "Eraser", "E"),
    command("tool-polygon", "Polygon", "G"),
    command("tool-pan", "Move the view", "V"),
    command("smaller", "Smaller brush", "["),
    command("larger", "Larger brush", "]"),
    command("cancel", "Cancel what is under way", "Escape"),
  ],
  Prompts: [
    command("delete-point", "Delete the selected point or box", "Delete Backspace"),
    command("flip-point", "Flip the selected point between foreground and background", "T"),
    command("next-point", "Select the next point", "W"),
    command("previous-point", "Select the previous point", "Shift+W"),
    command("flip-label", "Switch clicks between foreground and background", "X"),
    command("next-candidate", "Take the next of SAM's three masks", "C"),
    command("automatic", "Back to the automatic prompts", "Q"),
    command("postpone", "Postpone the model until the key is released", "Tab", true),
  ],
  "Without a mouse": [
    command("left", "Move the crosshair, or the selected point, left", "ArrowLeft"),
    command("right", "Move it right", "ArrowRight"),
    command("up", "Move it up", "ArrowUp"),
    command("down", "Move it down", "ArrowDown"),
    command("far-left", "Move it left by ten pixels", "Shift+ArrowLeft"),
    command("far-right", "Move it right by ten pixels", "Shift+ArrowRight"),
    command("far-up", "Move it up by ten pixels", "Shift+ArrowUp"),
    command("far-down", "Move it down by ten pixels", "Shift+ArrowDown"),
    command("press", "Use the tool at the crosshair: click, or begin and end a stroke", "A"),
    command("press-background", "The same with a background point", "Shift+A"),
  ],
  Objects: [
    command("accept-object", "Accept the object", "Enter"),
    command("new-object", "New object", "N"),
    command("next-object", "Next object", "J"),
    command("previous-object", "Previous object", "K"),
    command("delete-object", "Delete the object", "Shift+Delete"),
    command("hide", "Hide or show the object", "H"),
    command("lock", "Lock or unlock the object", "L"),
    ...Array.from({ length: 9 }, (_, at) => command(`class-${at + 1}`, `Give the object class ${at + 1}`, `${at + 1}`)),
  ],
  Images: [
    command("accept-image", "Accept the image and open the next", "Ctrl+Enter"),
    command("previous-image", "Previous image", "D PageUp"),
    command("next-image", "Next image", "F PageDown"),
    command("skip-image", "Skip the image", "S"),
    command("previous-slice", "Previous slice", ","),
    command("next-slice", "Next slice", "."),
  ],
  View: [
    command("fit", "Fit the image", "0"),
    command("zoom-in", "Zoom in", "+ ="),
    command("zoom-out", "Zoom out", "-"),
    command("peek", "See the bare image; with the mouse button, move the view", "Space", true),
    command("outline", "Outline only, or filled again", "O"),
  ],
  General: [
    command("undo", "Undo", "Ctrl+Z"),
    command("redo", "Redo", "Ctrl+Shift+Z Ctrl+Y"),
    command("keys", "Show this help", "? F1"),
  ],
};

/** @type {Command[]} */
const COMMANDS = Object.entries(GROUPS).flatMap(([group, commands]) => commands.map((one) => ({ ...one, group })));

/**
 * The key of an event with its modifiers, "Ctrl+Shift+Z". Cmd of a Mac counts as Ctrl. With AltGr, which is Ctrl and
 * Alt on Windows, only the character counts: on many keyboards it is needed for "[" and "]".
 * @param {KeyboardEvent} event
 */
export function chordOf(event) {
  let key = event.key === " " ? "Space" : event.key;
  const altGr = event.getModifierState("AltGraph");
  const isPlain = !altGr && !event.altKey && !event.shiftKey;
  if (isPlain && /^Digit[0-9]$/.test(event.code) && !/^[0-9]$/.test(key)) key = event.code.slice(5);
  if (key.length === 1) key = key.toUpperCase();
  const letter = key.length > 1 || /^[A-Z]$/.test(key);
  const modifiers = [];
  if ((event.ctrlKey && !altGr) || event.metaKey) modifiers.push("Ctrl");
  if (event.altKey && !altGr) modifiers.push("Alt");
  if (event.shiftKey && letter) modifiers.push("Shift"); // "?" is a key of its own, whatever makes it
  return [...modifiers, key].join("+");
}

export class KeyMap {
  /** @param {Storage} storage */
  constructor(storage) {
    this.storage = storage;
    /** @type {Record<string, string[]>} */
    this.changed = readKept(storage);
  }

  get commands() {
    return COMMANDS.map((one) => ({ ...one, keys: this.changed[one.id] ?? one.keys }));
  }

  /** @param {string} chord */
  commandOf(chord) {
    return this.commands.find((one) => one.keys.includes(chord));
  }

  /** @param {string} id */
  keysOf(id) {
    return this.commands.find((one) => one.id === id)?.keys ?? [];
  }

  /** Give a command one key, which every other command loses. @param {string} id @param {string} chord */
  give(id, chord) {
    for (const one of this.commands) {
      if (one.id !== id && one.keys.includes(chord)) this.changed[one.id] = one.keys.filter((key) => key !== chord);
    }
    this.changed[id] = [chord];
    this.keep();
  }

  /** @param {string} id */
  clear(id) {
    this.changed[id] = [];
    this.keep();
  }

  reset() {
    this.changed = {};
    this.keep();
  }

  keep() {
    try {
      this.storage.setItem(KEPT, JSON.stringify(this.changed));
    } catch {
      // without storage the changes last until the page is closed
    }
  }
}

/** @param {Storage} storage @returns {Record<string, string[]>} */
function readKept(storage) {
  /** @type {Record<string, string[]>} */
  const kept = {};
  try {
    const found = JSON.parse(storage.getItem(KEPT) ?? "{}");
    for (const { id } of COMMANDS) {
      const keys = found[id];
      if (Array.isArray(keys)) kept[id] = keys.filter((/** @type {unknown} */ key) => typeof key === "string");
    }
  } catch {
    // what is not ours is as good as nothing
  }
  return kept;
}

const SHOWN = new Map([
  ["ArrowLeft", "\u2190"], ["ArrowRight", "\u2192"], ["ArrowUp", "\u2191"], ["ArrowDown", "\u2193"],
  ["PageUp", "PgUp"], ["PageDown", "PgDn"], ["Delete", "Del"], ["Escape", "Esc"],
]);

/** How a key is written for people. @param {string} chord */
export function shown(chord) {
  const parts = chord === "+" ? ["+"] : chord.split("+");
  return parts.map((part) => SHOWN.get(part) ?? part).join("+");
}
