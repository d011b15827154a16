// How things are shown: fill, colours, window, theme. What holds for every image is kept in the browser.

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").Annotated} Annotated */
/** @typedef {{opacity: number, outlineOnly: boolean, theme: string}} Kept */

const KEPT = "promise-annotator-display";
// Apart from each other for the usual forms of colour blindness (Okabe and Ito 2008, made lighter).
const COLOURS = ["#56c5f0", "#ffb000", "#3ed09c", "#f5ef5a", "#ff7a45", "#e08ac6", "#8fa8ff", "#c9d34f", "#d8d8d8"];

export class Display {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    const kept = read();
    this.opacity = kept.opacity;
    this.outlineOnly = kept.outlineOnly;
    this.theme = kept.theme;
    this.peeking = false;
    /** @type {Map<string, string>} by image and object */
    this.colours = new Map();
    /** @type {Map<number, {low: number, high: number}>} by image */
    this.windows = new Map();
    this.showTheme();
  }

  /** The opacity of fills, 0 to 1. */
  get fill() {
    return this.outlineOnly ? 0 : this.opacity / 100;
  }

  /** @param {Annotated} object */
  colourOf(object) {
    return this.colours.get(this.keyOf(object.id)) ?? this.colourOfClass(object.class);
  }

  /** @param {number} id */
  colourOfClass(id) {
    const given = this.session.project?.classes.find((one) => one.id === id)?.colour ?? "";
    return /^#[0-9a-f]{6}$/i.test(given) ? given : COLOURS[Math.max(0, id - 1) % COLOURS.length];
  }

  /** @param {number} object */
  keyOf(object) {
    return `${this.session.image?.id}/${object}`;
  }

  /** @param {number} object @param {string} colour */
  setColour(object, colour) {
    this.colours.set(this.keyOf(object), colour);
    this.session.changes.tell("objects");
  }

  /** The window other than the file's own. @param {{id: number}} image */
  windowOf(image) {
    return this.windows.get(image.id) ?? null;
  }

  /** @param {number} low @param {number} high */
  setWindow(low, high) {
    const { image } = this.session;
    if (image) this.windows.set(image.id, { low, high });
    this.session.changes.tell("display");
  }

  resetWindow() {
    const { image } = this.session;
    if (image) this.windows.delete(image.id);
    this.session.changes.tell("display");
  }

  /** @param {Partial<Kept>} values */
  set(values) {
    Object.assign(this, values);
    const { opacity, outlineOnly, theme } = this;
    try {
      localStorage.setItem(KEPT, JSON.stringify({ opacity, outlineOnly, theme }));
    } catch {
      // without storage it holds until the page is closed
    }
    this.showTheme();
    this.session.changes.tell("display");
  }

  /** From the system's to dark to light and back. */
  nextTheme() {
    const themes = ["system", "dark", "light"];
    this.set({ theme: themes[(themes.indexOf(this.theme) + 1) % themes.length] });
    return this.theme;
  }

  showTheme() {
    if (this.theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.theme;
  }
}

/** @returns {Kept} */
function read() {
  const usual = { opacity: 35, outlineOnly: false, theme: "system" };
  try {
    const found = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    return {
      opacity: found.opacity >= 0 && found.opacity <= 100 ? Number(found.opacity) : usual.opacity,
      outlineOnly: found.outlineOnly === true,
      theme: ["system", "dark", "light"].includes(found.theme) ? found.theme : usual.theme,
    };
  } catch {
    return usual;
  }
}
