// The shapes of what the server answers (docs/annotator-api.md) and of what the page keeps.

/** @typedef {import("./region.js").Region} Region */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{x: number, y: number, label: number}} PromptPoint label is 1 for foreground and 0 for background */
/** @typedef {[number, number, number, number]} Box left, top, right, bottom: first and last pixels */
/** @typedef {{points: PromptPoint[], box: Box | null}} Prompts */
/** @typedef {{box: [number, number, number, number], bits: string}} WireMask left, top, width, height */
/** @typedef {{id: number, name: string, colour: string}} ClassEntry */
/** @typedef {{user: string | null, since: string}} Holder */

/**
 * @typedef {{id: number, name: string, learned: boolean, proposes: boolean, candidates: number, takes: string[]}}
 *   ProjectModel
 */

/**
 * @typedef {object} Project
 * @property {string} name
 * @property {string} version
 * @property {ProjectModel} model
 * @property {ClassEntry[]} classes
 * @property {string | null} user
 * @property {boolean} instances
 * @property {boolean} truth
 * @property {{open: number, done: number, skipped: number}} counts
 * @property {{name: string, reason: string}[]} unreadable
 * @property {{points: number, objects: number, lease_seconds: number}} limits
 */

/**
 * @typedef {object} ImageEntry
 * @property {number} id
 * @property {string} name
 * @property {"open" | "done" | "skipped"} state
 * @property {number | null} trust
 * @property {number} width
 * @property {number} height
 * @property {number} slices
 * @property {number} objects
 * @property {Holder | null} holder
 * @property {boolean} changed
 * @property {boolean} ready
 * @property {string | null} user
 * @property {number} edits
 * @property {number} seconds
 */

/** @typedef {{lowest: number, highest: number, low: number, high: number}} Window */

/**
 * @typedef {object} ImageFacts
 * @property {number} revision
 * @property {boolean} can_undo
 * @property {boolean} can_redo
 * @property {number[]} proposed
 * @property {Window | null} window
 * @property {Record<string, number> | null} dice
 * @property {WireObject[]} list
 */
/** @typedef {ImageEntry & ImageFacts} WireImage */

/**
 * @typedef {object} ObjectFacts
 * @property {number} id
 * @property {number} slice
 * @property {number} class
 * @property {PromptPoint[]} points
 * @property {Box | null} box
 * @property {boolean} automatic
 * @property {boolean} refines
 * @property {boolean} painted
 * @property {boolean} imported
 * @property {number | null} candidate
 * @property {{score: number}[]} candidates
 * @property {number | null} chosen
 * @property {number | null} score
 * @property {number | null} model the number of the model that answered
 * @property {boolean} locked
 * @property {boolean} hidden
 * @property {boolean} accepted
 */
/** @typedef {ObjectFacts & {mask: WireMask}} WireObject */
/** @typedef {ObjectFacts & {region: Region}} Annotated an object with its mask unpacked */

/**
 * @typedef {object} ActionAnswer
 * @property {number} revision
 * @property {WireObject[]} changed
 * @property {number[]} removed
 * @property {ImageEntry["state"]} state
 * @property {boolean} can_undo
 * @property {boolean} can_redo
 * @property {number[]} proposed
 * @property {string} note
 * @property {Record<string, number> | null} dice
 */

/**
 * @typedef {{stage: string, done: number, total: number, note: string, seconds_left: number | null}} TrainingProgress
 */
/**
 * @typedef {object} TrainingResult
 * @property {string} round
 * @property {boolean} took_over
 * @property {number} before
 * @property {number} after
 * @property {number} images
 * @property {number | null} slices
 * @property {number | null} edited
 * @property {boolean} better
 */

/**
 * @typedef {object} Training
 * @property {"idle" | "running" | "interrupted" | "failed"} state
 * @property {string} reason
 * @property {TrainingProgress | null} progress
 * @property {number} accepted
 * @property {number} missing
 * @property {boolean} offered
 * @property {{id: number, name: string, learned: boolean}} model
 * @property {TrainingResult | null} result
 */

/** @typedef {{type: string} & Record<string, unknown>} Action */
/**
 * @typedef {{n: number, mask: WireMask, score: number | null, candidates: {score: number}[], chosen: number | null}}
 *   PreviewAnswer
 */

export {};
