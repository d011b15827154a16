// Holding an image for a tab, so that no other tab or person changes it meanwhile.

import { ApiError, api } from "./api.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./types.js").WireImage} WireImage */

const ONLY_TO_LOOK_AT = new Set(["held", "changed", "not-stored"]);

/**
 * The image, held for this tab, or with the reason why it is only to look at.
 * @param {Session} session @param {number} id @param {boolean} take from whoever has it
 * @param {number} slice whose proposal is wanted with it
 * @returns {Promise<{image: WireImage, refusal: ApiError | null}>}
 */
export async function hold({ client, leaving, project, user }, id, take, slice) {
  await leaving.get(id); // else it could be let go after it was held again
  const wanted = project?.model.proposes ? slice : null;
  try {
    return { image: await api.hold(id, client, user, take, wanted), refusal: null };
  } catch (error) {
    if (!(error instanceof ApiError) || !ONLY_TO_LOOK_AT.has(error.code)) throw error;
    return { image: await api.image(id), refusal: error };
  }
}

/** The slice that stands for an image. @param {{slices: number} | undefined} image */
export function middleOf(image) {
  return image ? Math.floor((image.slices - 1) / 2) : 0;
}
