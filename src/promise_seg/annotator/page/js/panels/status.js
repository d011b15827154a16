// What is going on: the status line, whether everything is saved, the banner of what went wrong, facts of the image.
// The same stands in attributes of the document, for programs that drive the page.

import { button, make, part } from "../dom.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../edits.js").Edits} Edits */
/** @typedef {import("../stage.js").Stage} Stage */

export class StatusPanel {
  /**
   * @param {Session} session @param {Edits} edits @param {Stage} stage
   * @param {() => void} open again what failed to open
   */
  constructor(session, edits, stage, open) {
    this.session = session;
    this.edits = edits;
    this.stage = stage;
    button("trouble-close").addEventListener("click", () => session.clearTrouble());
    button("trouble-retry").addEventListener("click", () => this.wayOut(open));
    session.changes.on(["saved", "image", "objects", "prompts", "view", "tool", "images"], () => this.show());
  }

  /** @param {() => void} open */
  wayOut(open) {
    const { session } = this;
    const take = session.trouble?.way === "take";
    if (take && session.image) void session.takeOver();
    else if (!session.queue.isEmpty) session.queue.retry();
    else open();
  }

  show() {
    this.showSaved();
    this.showTrouble();
    this.showFacts();
    this.showButtons();
    this.expose();
  }

  showSaved() {
    const { session } = this;
    const state = session.delay ? "no" : session.queue.isEmpty ? "yes" : "saving";
    const locked = session.image !== null && !session.held && !session.opening;
    setText("saved-text", locked ? "Read-only" : { no: "Not saved", yes: "Saved", saving: "Saving" }[state]);
    part("saved").dataset.saved = locked && state === "yes" ? "locked" : state;
    part("pending").hidden = !(session.opening || (!session.queue.isEmpty && !session.delay));
  }

  showTrouble() {
    const { trouble } = this.session;
    part("trouble").hidden = trouble === null;
    if (!trouble) return;
    setText("trouble-text", `${trouble.text}.`.replace(/([.?!])\.$/, "$1"));
    const retry = button("trouble-retry");
    retry.hidden = trouble.way === null;
    setText("trouble-retry", trouble.way === "take" ? "Take over" : "Try again");
  }

  showFacts() {
    const { image, slice, project } = this.session;
    const name = image ? image.name : "";
    setText("image-name", name);
    const isReopened = image !== null && this.session.reopened === image.id;
    setText("reopened", isReopened ? "This image is open again; Ctrl+Enter accepts it" : "");
    if (!image) return;
    part("canvas").setAttribute("aria-label", `Image ${image.name}, ${this.session.shown.length} objects`);
    const dice = image.dice?.[String(slice)];
    const facts = [
      ["Size", `${image.width} \u00d7 ${image.height}${image.slices > 1 ? ` \u00d7 ${image.slices}` : ""}`],
      ["State", image.state],
      ...(image.trust === null ? [] : [["Trust", image.trust.toFixed(2)]]),
      ...(project?.truth ? [["Dice", dice === undefined ? "not known yet" : dice.toFixed(3)]] : []),
      ["Model", (project?.model.name ?? "").split(/[\\/]/).slice(-2).join("/")],
    ];
    const list = part("facts");
    const text = JSON.stringify(facts);
    if (list.dataset.shown === text) return;
    list.dataset.shown = text;
    list.replaceChildren(...facts.flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]));
  }

  showButtons() {
    const { edits, session } = this;
    const { image } = session;
    const may = session.mayEdit;
    button("undo").disabled = !may || !image?.can_undo;
    button("redo").disabled = !may || !image?.can_redo;
    button("accept-object").disabled = !may || !session.activeObject;
    button("accept-image").disabled = !may;
    button("skip-image").disabled = !may;
    button("new-object").disabled = !may;
    const locked = session.activeObject?.locked ?? false;
    button("automatic").disabled = !may || locked || !session.activeObject || session.activeObject.automatic;
    button("automatic").hidden = session.project?.model.proposes === false;
    button("flip-point").disabled = !may || locked || !edits.selected || edits.selected === "box";
    button("delete-point").disabled = !may || locked || !edits.selected;
    setText("delete-point", edits.selected === "box" ? "Delete box" : "Delete point");
  }

  expose() {
    const { edits, session, stage } = this;
    const { image, slice } = session;
    const { scale, left, top } = stage.view;
    const working = session.busy || edits.adding !== null;
    const state = !image ? "starting" : session.delay ? "unsaved" : working || !stage.isCurrent ? "working" : "ready";
    const { points, box } = edits.prompts;
    Object.assign(document.documentElement.dataset, {
      state,
      image: String(image?.id ?? ""),
      slice: String(slice),
      revision: String(image?.revision ?? ""),
      objects: String(session.shown.length),
      active: String(session.active ?? ""),
      points: JSON.stringify(points.map(({ x, y, label }) => [x, y, label])),
      box: JSON.stringify(box),
      area: String(session.activeObject?.region.area ?? 0),
      preview: String(edits.preview?.region.area ?? ""),
      hovered: String(edits.hovered?.region.area ?? ""),
      view: JSON.stringify([scale, left, top]),
    });
  }
}

/** @param {string} id @param {string} text */
function setText(id, text) {
  const element = part(id);
  if (element.textContent !== text) element.textContent = text;
}
