// Masks from files, and all accepted objects as one COCO file.

import { ApiError, api } from "./api.js";
import { button, input } from "./dom.js";
import { pack } from "./masks.js";
import { Region } from "./region.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./edits.js").Edits} Edits */

/** @param {Session} session @param {Edits} edits */
export function exchange(session, edits) {
  const field = input("mask-file");
  field.addEventListener("change", () => void importMask(session, edits, field));
  button("export").addEventListener("click", () => void exportCoco(session));
}

/** Add an object with the mask that a file holds. @param {Session} session @param {Edits} edits @param {HTMLInputElement} field */
async function importMask(session, edits, field) {
  const file = field.files?.[0];
  field.value = ""; // so that the same file can be chosen again
  const { image } = session;
  if (!file || !image) return;
  try {
    const region = await maskOf(file, image);
    if (session.image?.id !== image.id) throw new Error("was not added: another image was opened meanwhile. Open its image and choose the file again");
    const { newClass } = edits;
    edits.newClass = newClass ?? edits.classOfNew;
    edits.forget();
    await edits.add({ mask: pack(region) });
    session.announce(`${file.name}: added as an object`);
  } catch (error) {
    session.say(`${file.name}: ${error instanceof Error ? error.message : String(error)}`, null);
  }
}

/** The pixels of a picture that are not black. @param {File} file @param {{width: number, height: number}} image */
async function maskOf(file, image) {
  const picture = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => null);
  if (!picture) throw new Error("is not a picture that this browser reads; expected PNG");
  const { width, height } = picture;
  if (width !== image.width || height !== image.height) {
    throw new Error(`has ${width} \u00d7 ${height} pixels; the image has ${image.width} \u00d7 ${image.height}. Choose the mask of this image`);
  }
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext("2d"));
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const region = new Region(0, 0, width, height);
  for (let at = 0; at < region.pixels.length; at += 1) {
    region.pixels[at] = data[4 * at + 3] && (data[4 * at] || data[4 * at + 1] || data[4 * at + 2]) ? 1 : 0;
  }
  if (!region.area) throw new Error("holds nothing: every pixel is black");
  return region;
}

/** @param {Session} session */
async function exportCoco(session) {
  try {
    const { file, images, objects } = await api.exportCoco();
    session.announce(`Wrote ${objects} objects of ${images} images to ${file} in the project's folder`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    session.say(error.message, null);
  }
}
