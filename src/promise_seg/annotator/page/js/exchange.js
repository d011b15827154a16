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

/**
 * Add an object with the mask that a file holds.
 * @param {Session} session @param {Edits} edits @param {HTMLInputElement} field
 */
async function importMask(session, edits, field) {
  const file = field.files?.[0];
  field.value = ""; // so that the same file can be chosen again
  const { image } = session;
  if (!file || !image) return;
  try {
    const region = await maskOf(file, image);
    if (session.image?.id !== image.id) {
      throw new Error(
        "was not added: another image was opened meanwhile. Open its image and choose the file again",
      );
    }
    const { newClass } = edits;
    edits.newClass = newClass ?? edits.classOfNew;
    edits.forget();
    if (!(await edits.add({ mask: pack(region) }))) return; // the banner says why
    session.clearTrouble();
    session.announce(`${file.name}: added as an object`);
  } catch (error) {
    session.say(`${file.name}: ${error instanceof Error ? error.message : String(error)}`, null);
  }
}

const EXPECTED = "expected a greyscale PNG of at most 8 bits that is black outside the object and has one other \
value inside. \
Save the mask of each object as such a file";
const PNG = [137, 80, 78, 71, 13, 10, 26, 10];

/**
 * Refuse files whose values a browser does not tell: it reduces 16 bits to 8, and replaces the numbers of a palette by
 * colours.
 * @param {File} file
 */
async function checkKind(file) {
  // The signature, then IHDR: size, bit depth, colour type.
  const bytes = new Uint8Array(await file.slice(0, 26).arrayBuffer());
  const isPng = bytes.length >= 26 && PNG.every((byte, at) => bytes[at] === byte);
  if (!isPng) throw new Error(`is not a PNG file; ${EXPECTED}`);
  const [depth, colours] = bytes.slice(24);
  if (depth > 8) throw new Error(`has ${depth} bits per value; ${EXPECTED}`);
  if (colours === 3) throw new Error(`has a palette; ${EXPECTED}`);
}

/** Refuse pixels that are not of a mask. @param {Uint8ClampedArray} data red, green, blue and alpha of each pixel */
function checkValues(data) {
  const values = new Set();
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] !== 255) throw new Error(`has transparent pixels; ${EXPECTED}`);
    if (data[at] !== data[at + 1] || data[at] !== data[at + 2]) throw new Error(`has colours; ${EXPECTED}`);
    values.add(data[at]);
  }
  const found = [...values].sort((one, other) => one - other);
  if (found.length > 2) {
    const some = `${found.slice(0, 5).join(", ")}${found.length > 5 ? ", ..." : ""}`;
    throw new Error(`has ${found.length} grey values (${some}); ${EXPECTED}`);
  }
  if (found[0] !== 0) throw new Error(`has no black pixels (its grey values are ${found.join(" and ")}); ${EXPECTED}`);
  if (found.length === 1) throw new Error(`is black everywhere; ${EXPECTED}`);
}

/** The pixels of a mask that are not black. @param {File} file @param {{width: number, height: number}} image */
async function maskOf(file, image) {
  await checkKind(file);
  const picture = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => null);
  if (!picture) throw new Error("cannot be decoded by this browser; expected a complete PNG file. Save the mask again");
  const { width, height } = picture;
  if (width !== image.width || height !== image.height) {
    const expected = `the image has ${image.width} \u00d7 ${image.height}. Choose the mask of this image`;
    throw new Error(`has ${width} \u00d7 ${height} pixels; ${expected}`);
  }
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const region = new Region(0, 0, width, height);
  checkValues(data);
  for (let at = 0; at < region.pixels.length; at += 1) region.pixels[at] = data[4 * at] ? 1 : 0;
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
