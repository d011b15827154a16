// What each command of the key map does.

import { hiddenIn } from "./answers.js";

/**
 * @typedef {object} Parts
 * @property {import("./session.js").Session} session
 * @property {import("./edits.js").Edits} edits
 * @property {import("./display.js").Display} display
 * @property {import("./stage.js").Stage} stage
 * @property {import("./toolbox.js").Toolbox} toolbox
 * @property {import("./crosshair.js").Crosshair} crosshair
 * @property {import("./panels/objects.js").ObjectsPanel} objects
 * @property {import("./panels/images.js").ImagesPanel} images
 * @property {import("./panels/candidates.js").CandidatesPanel} candidates
 * @property {import("./panels/slices.js").SlicesPanel} slices
 * @property {import("./panels/keys.js").KeysPanel} keys
 */

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
export function commandsOf(parts) {
  return { ...ofTools(parts), ...ofPrompts(parts), ...ofObjects(parts), ...ofImages(parts), ...ofView(parts) };
}

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
function ofTools({ crosshair, edits, session, toolbox }) {
  const chosen = /** @type {const} */ (["point", "box", "brush", "eraser", "polygon", "pan"]).map(
    (name) => /** @type {[string, () => void]} */ ([`tool-${name}`, () => toolbox.choose(name)]),
  );
  /** @type {Record<string, [number, number]>} */
  const ways = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] };
  const moves = Object.entries(ways).flatMap(([name, [dx, dy]]) => [
    /** @type {[string, () => void]} */ ([name, () => crosshair.move(dx, dy)]),
    /** @type {[string, () => void]} */ ([`far-${name}`, () => crosshair.move(10 * dx, 10 * dy)]),
  ]);
  return {
    ...Object.fromEntries([...chosen, ...moves]),
    smaller: () => toolbox.resize(-1),
    larger: () => toolbox.resize(1),
    press: () => crosshair.press(false),
    "press-background": () => crosshair.press(true),
    cancel: () => {
      if (toolbox.tool.busy) toolbox.tool.cancel();
      else if (edits.draft && !edits.postponing && session.queue.isEmpty) edits.forget();
      else edits.selected = null;
      crosshair.hide();
      session.changes.tell("prompts");
    },
  };
}

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
function ofPrompts({ candidates, crosshair, edits, session, toolbox }) {
  return {
    "delete-point": () => toolbox.tool.stepBack() || edits.deleteSelected(),
    "flip-point": () => edits.flipSelected(),
    "next-point": () => crosshair.select(1),
    "previous-point": () => crosshair.select(-1),
    "flip-label": () => toolbox.setLabel(1 - toolbox.bench.settings.label),
    "next-candidate": () => candidates.next(),
    postpone: () => edits.postpone(),
    automatic: async () => {
      if (!edits.mayChange() || session.active === null) return;
      edits.forget();
      await session.act({ type: "automatic", object: session.active });
    },
  };
}

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
function ofObjects({ edits, objects, session, toolbox }) {
  const withActive = (/** @type {(object: import("./types.js").Annotated) => unknown} */ does) => () => {
    const object = session.activeObject;
    return object ? does(object) : session.announce("No object is chosen");
  };
  const classes = Array.from({ length: 9 }, (_value, at) => [`class-${at + 1}`, () => setClass(at)]);
  const setClass = (/** @type {number} */ at) => {
    const chosen = session.project?.classes[at];
    if (!chosen) return session.announce(`There is no class ${at + 1}`);
    session.announce(`Class ${chosen.name}`);
    const object = session.activeObject;
    if (object) return objects.set(object, { class: chosen.id });
    edits.newClass = chosen.id;
    return session.changes.tell("objects", "prompts");
  };
  return {
    ...Object.fromEntries(classes),
    "accept-object": () => {
      if (toolbox.tool.finish()) return;
      return withActive((object) => acceptObject(session, objects, object))();
    },
    "new-object": () => objects.activate(null),
    "next-object": () => objects.step(1),
    "previous-object": () => objects.step(-1),
    "delete-object": withActive((object) => objects.remove(object)),
    hide: withActive((object) => objects.set(object, { hidden: !object.hidden })),
    lock: withActive((object) => objects.set(object, { locked: !object.locked })),
  };
}

/**
 * @param {Parts["session"]} session @param {Parts["objects"]} objects
 * @param {import("./types.js").Annotated} object
 */
async function acceptObject(session, objects, object) {
  if (!object.accepted) await objects.set(object, { accepted: true });
  const next = session.shown.find((one) => !one.accepted && !one.locked && !one.hidden);
  objects.activate(next?.id ?? null);
  const isLast = "Accepted. The next prompt begins a new object; Ctrl+Enter accepts the image";
  session.announce(next ? "Accepted; the next object" : isLast);
}

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
function ofImages({ edits, images, session, slices }) {
  const open = async (/** @type {number} */ step) => {
    const entry = images.beside(step);
    if (!entry) return session.announce(step > 0 ? "This is the last image" : "This is the first image");
    await session.open(entry.id);
    images.reveal();
  };
  const finish = async (/** @type {"accept" | "skip"} */ type) => {
    await edits.settled();
    const name = session.image?.name;
    const answer = await session.act({ type });
    if (!answer) return;
    const hidden = type === "accept" ? hiddenIn(session.objects.values()) : "";
    const note = answer.note ? `${answer.note.replace(/[.]$/, "")}. ` : "";
    const next = images.beside(1, true);
    if (!next) return session.announce(`${hidden}All images are done or skipped`);
    const said = `${type === "accept" ? "Accepted" : "Skipped"} ${name}. ${hidden}${note}`;
    await session.open(next.id, false, undefined, said);
    images.reveal();
  };
  return {
    "accept-image": () => finish("accept"),
    "skip-image": () => finish("skip"),
    "previous-image": () => open(-1),
    "next-image": () => open(1),
    "previous-slice": () => slices.step(-1),
    "next-slice": () => slices.step(1),
  };
}

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
function ofView({ display, edits, keys, session, stage }) {
  const { view } = stage;
  const middle = () => ({ x: view.canvas.width / 2, y: view.canvas.height / 2 });
  const viewed = (/** @type {() => void} */ does) => () => {
    does();
    session.changes.tell("view");
  };
  const peek = (/** @type {boolean} */ peeking) => {
    display.peeking = peeking;
    stage.redraw("others", "active");
  };
  const history = async (/** @type {"undo" | "redo"} */ type) => {
    await edits.settled();
    edits.forget();
    await session.act({ type });
  };
  return {
    fit: viewed(() => view.fit()),
    "zoom-in": viewed(() => view.zoom(1.25, middle())),
    "zoom-out": viewed(() => view.zoom(0.8, middle())),
    peek: () => peek(true),
    "peek-end": () => peek(false),
    outline: () => display.set({ outlineOnly: !display.outlineOnly }),
    undo: () => history("undo"),
    redo: () => history("redo"),
    keys: () => keys.toggle(),
  };
}
