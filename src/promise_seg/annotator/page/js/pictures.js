// Pixels of slices, fetched and decoded. The last few are kept, and those that are wanted next are fetched before they
// are.

import { ApiError, noAnswer } from "./api.js";

const KEPT_PIXELS = 40e6;

export class Pictures {
  constructor() {
    /** @type {Map<string, ImageBitmap>} the last used last */
    this.kept = new Map();
    /** @type {Map<string, Promise<ImageBitmap>>} on their way */
    this.coming = new Map();
  }

  /** Whether so many pixels can be kept beside as many others. @param {number} pixels */
  static hasRoomFor(pixels) {
    return 2 * pixels <= KEPT_PIXELS;
  }

  /** Have a picture before it is wanted. Where it cannot be had, that is said once it is. @param {string} address */
  expect(address) {
    void this.get(address).catch(() => null);
  }

  /** @param {string} address */
  forget(address) {
    this.kept.delete(address);
  }

  /** @param {string} address @returns {Promise<ImageBitmap>} */
  get(address) {
    const kept = this.kept.get(address);
    if (kept) {
      this.kept.delete(address);
      this.kept.set(address, kept);
      return Promise.resolve(kept);
    }
    let coming = this.coming.get(address);
    if (!coming) {
      coming = this.fetch(address).finally(() => this.coming.delete(address));
      this.coming.set(address, coming);
    }
    return coming;
  }

  /** @param {string} address */
  async fetch(address) {
    const answer = await fetch(address).catch(() => null);
    if (!answer) throw noAnswer();
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
