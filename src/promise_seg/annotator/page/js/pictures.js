// Pixels of slices, fetched and decoded. The last few are kept; while one is on its way, only the newest wish waits.

import { ApiError } from "./api.js";

const KEPT_PIXELS = 40e6;

export class Pictures {
  constructor() {
    /** @type {Map<string, ImageBitmap>} the last used last */
    this.kept = new Map();
  }

  /** @param {string} address @returns {Promise<ImageBitmap>} */
  async get(address) {
    const kept = this.kept.get(address);
    if (kept) {
      this.kept.delete(address);
      this.kept.set(address, kept);
      return kept;
    }
    const answer = await fetch(address).catch(() => null);
    if (!answer) throw new ApiError("unreachable", "The annotator does not answer. Is its terminal still open?");
    if (!answer.ok) throw new ApiError("failed", await reasonOf(answer));
    const pixels = await answer.blob().catch(() => null);
    if (!pixels) throw new ApiError("unreachable", "The picture was cut off on its way");
    const picture = await createImageBitmap(pixels);
    this.kept.set(address, picture);
    this.trim();
    return picture;
  }

  trim() {
    let pixels = 0;
    for (const [address, picture] of [...this.kept].reverse()) {
      pixels += picture.width * picture.height;
      if (pixels > KEPT_PIXELS && this.kept.size > 1) this.kept.delete(address);
    }
  }
}

/** @param {Response} answer */
async function reasonOf(answer) {
  try {
    return String((await answer.json()).error.message);
  } catch {
    return `The image cannot be shown: the annotator answered with status ${answer.status}`;
  }
}
