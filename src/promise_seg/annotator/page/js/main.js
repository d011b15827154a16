// The page begins here: its parts are made and joined.

import { ApiError } from "./api.js";
import { Changes } from "./changes.js";
import { commandsOf } from "./commands.js";
import { Crosshair } from "./crosshair.js";
import { Display } from "./display.js";
import { button, byId, part } from "./dom.js";
import { drawers } from "./drawers.js";
import { Edits } from "./edits.js";
import { exchange } from "./exchange.js";
import { middleOf } from "./holding.js";
import { Keyboard } from "./keyboard.js";
import { KeyMap, shown } from "./keymap.js";
import { AppearancePanel } from "./panels/appearance.js";
import { CandidatesPanel } from "./panels/candidates.js";
import { ImagesPanel } from "./panels/images.js";
import { KeysPanel } from "./panels/keys.js";
import { ObjectsPanel } from "./panels/objects.js";
import { PropagationPanel } from "./panels/propagation.js";
import { SlicesPanel } from "./panels/slices.js";
import { StatusPanel } from "./panels/status.js";
import { TrainingPanel } from "./panels/training.js";
import { PointerInput } from "./pointer.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { Toolbox } from "./toolbox.js";
import { View } from "./view.js";

const canvas = part("canvas");
const status = part("status");
/** @param {string} text */
const announce = (text) => (status.textContent = status.title = text); // the line may be too short for all of it

const view = new View();
const session = new Session(new Changes(), announce);
const edits = new Edits(session);
const display = new Display(session);
const layer = (/** @type {string} */ name) => byId(`layer-${name}`, HTMLCanvasElement);
const stage = new Stage(
  { stage: part("stage"), image: layer("image"), others: layer("others"), active: layer("active") },
  view, session, edits, display,
);
const settings = { label: 1, brushSize: 12, polygonMode: /** @type {const} */ ("add") };
const toolbox = new Toolbox({ view, session, edits, settings, redraw: () => stage.redraw("active") }, canvas);
session.expect = (entry, slice) => stage.expect(entry, slice);
stage.drawTool = (/** @type {CanvasRenderingContext2D} */ context) => toolbox.tool.draw(context);

const keyMap = new KeyMap(localStorage);
const images = new ImagesPanel(session, (id) => void open(id));
/** The images that a key leads to are fetched while nobody waits. */
session.opened = () => {
  for (const one of [images.beside(1), images.beside(1, true)]) if (one) stage.expect(one, middleOf(one));
};
const parts = {
  session, edits, display, stage, toolbox, images,
  crosshair: new Crosshair(stage, edits, toolbox, canvas),
  objects: new ObjectsPanel(session, edits, display),
  candidates: new CandidatesPanel(session, edits),
  slices: new SlicesPanel(session),
  keys: new KeysPanel(keyMap, () => nameKeys()),
};
new AppearancePanel(session, display);
new StatusPanel(session, edits, stage, () => void start());
new PropagationPanel(session);
const training = new TrainingPanel(session);
exchange(session, edits);
const drawer = drawers();
const commands = commandsOf(parts);

/** @param {number} id */
async function open(id) {
  drawer.close();
  canvas.focus({ preventScroll: true }); // at once: keys are for the image that was chosen, not for its button
  await session.open(id);
}

new Keyboard(keyMap, canvas, {
  run: (id) => void commands[id]?.(),
  release: (id) => {
    if (id === "peek") commands["peek-end"]();
    if (id === "postpone") void edits.endPostponing();
  },
  used: () => edits.postponedAny,
});

new PointerInput(canvas, {
  hover: (at) => {
    showPlace(at);
    toolbox.tool.hover(at);
    toolbox.showCursor();
  },
  down: (at) => {
    canvas.focus({ preventScroll: true });
    if (at.choose) chooseUnder(at);
    else toolbox.tool.down(at);
  },
  move: (at) => {
    showPlace(at);
    toolbox.tool.move(at);
  },
  up: (at) => toolbox.tool.up(at),
  cancel: () => toolbox.tool.cancel(),
  leave: () => {
    toolbox.tool.leave();
    showPlace(null);
  },
  pan: (dx, dy) => {
    view.pan(dx, dy);
    session.changes.tell("view");
  },
  zoom: (factor, at) => {
    view.zoom(factor, at);
    session.changes.tell("view");
  },
  double: (at) => {
    if (!toolbox.tool.double(at)) commands.fit();
  },
  subject: () => `${session.image?.id} ${session.slice}`,
  takesDouble: (at) => toolbox.tool.takesDouble(at),
  panning: () => display.peeking || toolbox.name === "pan",
});

/** @type {import("./pointer.js").Sample | null} */
let pointedAt = null;
session.changes.on(["view"], () => showPlace(pointedAt));

/** @param {import("./pointer.js").Sample | null} at */
function showPlace(at) {
  pointedAt = at;
  if (!at) return void (part("where").textContent = "");
  const place = view.toImage(at);
  const text = session.image && view.contains(place) ? `${Math.round(place.x)}, ${Math.round(place.y)}` : "";
  part("where").textContent = text && `${text} \u00b7 ${Math.round(view.scale * 100)} %`;
}

/** Make the topmost object under the pointer the active one. @param {import("./pointer.js").Sample} at */
function chooseUnder(at) {
  const found = session.shown.findLast((one) => !one.hidden && one.region.has(view.toImage(at)));
  if (found) parts.objects.activate(found.id);
  else announce("There is no object here");
}

/** Buttons that do what a key does. @type {Record<string, string>} */
const BUTTONS = {
  undo: "undo", redo: "redo", fit: "fit", automatic: "automatic",
  "flip-point": "flip-point", "delete-point": "delete-point",
  "new-object": "new-object", "accept-object": "accept-object",
  "accept-image": "accept-image", "skip-image": "skip-image",
};
for (const [id, command] of Object.entries(BUTTONS)) {
  button(id).addEventListener("click", () => void commands[command]());
}

/** Give buttons titles with their keys, and hints on their use. */
function nameKeys() {
  const named = [...Object.entries(BUTTONS), ...toolbox.buttons.map((one) => [one, `tool-${one.dataset.tool}`])];
  for (const [of, command] of named) {
    const found = typeof of === "string" ? button(of) : of;
    const keys = keyMap.keysOf(String(command)).map(shown).join(" or ");
    if (!(found instanceof HTMLElement)) continue;
    const { hint } = found.dataset;
    found.title = `${found.textContent?.trim()}${keys ? ` (${keys})` : ""}${hint ? `: ${hint}` : ""}`;
  }
}

/** After a click with the mouse, keys are the canvas's again. */
document.addEventListener("click", (event) => {
  const buttons = ".tools button, .options button, .accept button";
  const pressed = event.target instanceof Element ? event.target.closest(buttons) : null;
  if (pressed && event.detail > 0) canvas.focus({ preventScroll: true });
});

window.addEventListener("beforeunload", (event) => {
  if (!session.queue.isEmpty) event.preventDefault();
});

/** The image that the address names, so that a reload and a link find it again. */
function named() {
  const id = Number(/^#image=(\d+)$/.exec(location.hash)?.[1] ?? Number.NaN);
  return session.images.some((one) => one.id === id) ? id : undefined;
}
/** Name the open image in the address. */
function nameImage() {
  const name = `#image=${session.image?.id}`;
  if (!session.image || location.hash === name) return;
  history.replaceState(null, "", `${location.pathname}${location.search}${name}`);
}
session.changes.on(["image"], nameImage);

/** The address was changed by hand, or by Back. */
window.addEventListener("hashchange", () => {
  const id = named();
  if (id === undefined) announce("The address names no image of this project");
  const opened = id === undefined || id === session.target ? Promise.resolve() : open(id);
  void opened.then(nameImage); // as it may not have been opened
});

async function start() {
  try {
    await session.start();
    session.clearTrouble();
    void training.ask();
    const name = session.project?.name ?? "";
    part("project").textContent = name;
    document.title = `${name} - annotate`;
    const first = session.target ?? named() ?? images.beside(1, true)?.id ?? session.images[0]?.id;
    if (first !== undefined) await open(first);
    else {
      part("empty").hidden = false;
      part("empty").textContent =
        "None of the images can be read. The list of images says why; repair the files, or give others to promise " +
        "annotate";
      document.documentElement.dataset.state = "empty";
    }
    const isUntouched = session.image?.id === first && status.textContent?.startsWith(`${session.image?.name}: `);
    const begin = session.activeObject ? "click to add a point, or drag one" : "click on an object";
    if (session.mayEdit && isUntouched) announce(`Ready: ${begin}. Press ? for help`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    session.say(error.message, "retry");
    document.documentElement.dataset.state = "failed";
  }
}

nameKeys();
void start();
window.addEventListener("resize", () => stage.resize());
