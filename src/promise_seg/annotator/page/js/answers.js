// What is said of an action that was answered, for those who do not see it.

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").Action} Action */
/** @typedef {import("./types.js").ActionAnswer} ActionAnswer */
/** @typedef {import("./types.js").Annotated} Annotated */
/** @typedef {Map<number, Annotated>} Objects */

/** @param {number} count @param {string} what */
export function counted(count, what) {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/**
 * "1 hidden object is part of the mask. ", or nothing: hiding an object does not leave it out.
 * @param {Iterable<Annotated>} objects
 */
export function hiddenIn(objects) {
  const count = [...objects].filter((one) => one.hidden && !one.region.isEmpty).length;
  return count ? `${counted(count, "hidden object")} ${count === 1 ? "is" : "are"} part of the mask. ` : "";
}

/**
 * A sentence on what an action did, or "" where whoever sent it says more.
 * @param {Action} action @param {ActionAnswer} answer @param {Session} session after the action
 * @param {Objects} before the objects before it
 */
export function saidOf(action, answer, session, before) {
  const object = session.objects.get(answer.changed.at(-1)?.id ?? -1);
  if (action.type === "undo" || action.type === "redo") return ofHistory(action.type, answer, object);
  if (action.type === "remove") return `${nameIn(before, answer.removed[0])} deleted`;
  if (!object) return "";
  const name = nameIn(session.objects, object.id);
  switch (action.type) {
    case "prompts": return maskOf(object);
    case "add": return object.region.isEmpty ? `${name} added` : `${name} added. ${maskOf(object)}`;
    case "stroke": return `${action.mode === "erase" ? "Erased" : "Painted"}. ${maskOf(object)}`;
    case "automatic": return `${name} is automatic again. ${maskOf(object)}`;
    case "refine": return `The next points refine ${name}`;
    case "candidate": return ofCandidate(object);
    case "properties": return ofProperties(action, object, name, session);
    default: return "";
  }
}

/** @param {"undo" | "redo"} type @param {ActionAnswer} answer @param {Annotated | undefined} object */
function ofHistory(type, { changed, removed }, object) {
  if (!changed.length && !removed.length) return `There is nothing to ${type}`;
  return `${type === "undo" ? "Undone" : "Redone"}${object ? `. ${maskOf(object)}` : ""}`;
}

/** @param {Annotated} object */
function ofCandidate(object) {
  const at = object.chosen ?? 0;
  return `Mask ${at + 1} of ${object.candidates.length}, score ${(object.candidates[at]?.score ?? 0).toFixed(2)}`;
}

/** @param {Action} action @param {Annotated} object @param {string} name @param {Session} session */
function ofProperties(action, object, name, { project }) {
  if ("locked" in action) return `${name} ${object.locked ? "locked" : "unlocked"}`;
  if ("hidden" in action) return `${name} ${object.hidden ? "hidden" : "shown"}`;
  if ("accepted" in action) return `${name} ${object.accepted ? "accepted" : "is no longer accepted"}`;
  return `${name}: class ${project?.classes.find((one) => one.id === object.class)?.name ?? object.class}`;
}

/** @param {Annotated} object */
function maskOf({ region, score }) {
  return `The mask has ${region.area} pixels${score === null ? "" : `, score ${score.toFixed(2)}`}`;
}

/** An object's name in the list of its slice. @param {Objects} objects @param {number} id */
function nameIn(objects, id) {
  const slice = objects.get(id)?.slice;
  const before = [...objects.values()].filter((one) => one.slice === slice && one.id <= id);
  return `Object ${before.length}`;
}
