// Requests to the server. Errors carry the server's own sentence for the user.

/** @typedef {import("./types.js").Project} Project */
/** @typedef {import("./types.js").ImageEntry} ImageEntry */
/** @typedef {import("./types.js").WireImage} WireImage */
/** @typedef {import("./types.js").ActionAnswer} ActionAnswer */
/** @typedef {import("./types.js").Action} Action */
/** @typedef {import("./types.js").Holder} Holder */
/** @typedef {import("./types.js").Training} Training */

const ROOT = "/api/v1";

export class ApiError extends Error {
  /**
   * @param {string} code "unreachable" if no answer came, or not all of one @param {string} message
   * @param {Holder | null} holder
   */
  constructor(code, message, holder = null) {
    super(message);
    this.code = code;
    this.holder = holder;
  }
}

/**
 * An answer that is lost on its way, or cut, is no answer: whether anything was done is not known.
 * @param {string} method @param {string} path @param {unknown} [body] @param {boolean} [last] whether the page closes
 */
async function ask(method, path, body, last = false) {
  const headers = body === undefined ? undefined : { "Content-Type": "application/json" };
  const sent = body === undefined ? undefined : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(ROOT + path, { method, headers, body: sent, keepalive: last, credentials: "same-origin" });
  } catch {
    throw noAnswer();
  }
  const text = await answer.text().catch(() => null);
  if (text === null) throw cut();
  if (!answer.ok) throw errorOf(answer.status, text);
  try {
    return JSON.parse(text);
  } catch {
    throw cut();
  }
}

/** The error of a request to which no answer came. */
export function noAnswer() {
  return new ApiError("unreachable", "The annotator does not answer. Is its terminal still open?");
}

function cut() {
  return new ApiError("unreachable", "The annotator's answer was cut off on its way");
}

/** The message, with the time of day as it is here. @param {{message: string, holder?: Holder}} error */
function saysOf({ message, holder }) {
  const time = new Date(holder?.since ?? Number.NaN);
  if (!holder || Number.isNaN(time.getTime())) return message;
  return message.replace(holder.since, time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
}

/** @param {number} status @param {string} text */
function errorOf(status, text) {
  try {
    const { error } = JSON.parse(text);
    if (typeof error.message === "string") return new ApiError(String(error.code), saysOf(error), error.holder ?? null);
  } catch {
    // no answer of the annotator's
  }
  return new ApiError(status >= 500 ? "failed" : "refused", `The annotator answered with status ${status}`);
}

export const api = {
  /** @returns {Promise<Project>} */
  project: () => ask("GET", "/project"),

  /** @returns {Promise<ImageEntry[]>} */
  images: async () => (await ask("GET", "/images?order=trust")).images,

  /** @param {number} id @returns {Promise<WireImage>} */
  image: (id) => ask("GET", `/images/${id}`),

  /**
   * @param {number} id @param {string} client @param {string | null} user @param {boolean} take
   * @param {number | null} [propose] the slice whose proposal is to come along if the server has it already
   * @returns {Promise<WireImage>}
   */
  hold: (id, client, user, take, propose = null) =>
    ask("POST", `/images/${id}/lease`, {
      client, take, ...(user ? { user } : {}), ...(propose === null ? {} : { propose }),
    }),

  /** @param {number} id @param {string} client */
  letGo: (id, client) => ask("DELETE", `/images/${id}/lease`, { client }, true).catch(() => null),

  /**
   * @param {number} id @param {{id: string, client: string, revision: number, action: Action}} body
   * @returns {Promise<ActionAnswer>}
   */
  act: (id, body) => ask("POST", `/images/${id}/actions`, body),

  /** @param {number} id @returns {Promise<{running: boolean, done: number, total: number}>} */
  propagation: (id) => ask("GET", `/images/${id}/propagation`),

  /** @param {number} id */
  stopPropagation: (id) => ask("DELETE", `/images/${id}/propagation`, {}),

  /** @returns {Promise<Training>} */
  training: () => ask("GET", "/training"),

  /** @param {boolean} anew @returns {Promise<Training>} */
  train: (anew) => ask("POST", "/training", { anew }),

  /** @returns {Promise<Training>} */
  stopTraining: () => ask("DELETE", "/training", {}),

  /** @returns {Promise<{file: string, images: number, slices: number, objects: number}>} */
  exportCoco: () => ask("POST", "/export", { format: "coco" }),

  /** @param {number} id @param {number} slice @param {{low: number, high: number} | null} window */
  pixels: (id, slice, window) =>
    `${ROOT}/images/${id}/slices/${slice}/pixels${window ? `?low=${window.low}&high=${window.high}` : ""}`,

  /** @param {number} id */
  thumbnail: (id) => `${ROOT}/images/${id}/thumbnail`,

  /** @param {number} id */
  preview: (id) => `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${ROOT}/images/${id}/preview`,
};
