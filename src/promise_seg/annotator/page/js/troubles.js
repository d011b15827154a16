// What the banner says of an error, and which way out it offers.

import { counted } from "./answers.js";

/** @typedef {import("./api.js").ApiError} ApiError */
/** @typedef {{text: string, way: "retry" | "take" | null}} Trouble */

const RETRIED = new Set(["unreachable", "failed", "not-stored", "too-slow"]);
const NO_SESSION = "The annotator was restarted and does not know this tab. Open the new address from its terminal in \
another tab, and keep this tab open";

/** @param {ApiError} error @returns {Trouble} */
export function troubleOf({ code, message }) {
  if (code === "no-session") return { text: NO_SESSION, way: "retry" };
  if (code === "held" || code === "not-held") return { text: message, way: "take" };
  return { text: message, way: RETRIED.has(code) ? "retry" : null };
}

/**
 * The trouble with actions that wait for their next try.
 * @param {ApiError} error @param {number} count of the actions @returns {Trouble}
 */
export function troubleOfWaiting(error, count) {
  const { text, way } = troubleOf(error);
  const ended = /[.?!]$/.test(text) ? text : `${text}.`;
  const are = count === 1 ? "is" : "are";
  const kept = `${counted(count, "change")} ${are} kept in this tab and sent as soon as possible`;
  return { text: `Not saved: ${ended} ${kept}`, way };
}
