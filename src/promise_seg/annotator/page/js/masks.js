// Masks as they travel: base64 of zlib data of the bits of a box, the first pixel in the highest bit.

import { Region } from "./region.js";

/** @typedef {import("./types.js").WireMask} WireMask */

/**
 * An object as the page keeps it.
 * @param {import("./types.js").WireObject} object @returns {Promise<import("./types.js").Annotated>}
 */
export async function annotated(object) {
  const { mask, ...facts } = object;
  return { ...facts, region: await unpack(mask) };
}

/** @param {WireMask} mask @returns {Promise<Region>} */
export async function unpack(mask) {
  const [x, y, width, height] = mask.box;
  if (!width || !height) return Region.empty;
  const packed = Uint8Array.from(atob(mask.bits), (character) => character.charCodeAt(0));
  const bits = await through(packed, new DecompressionStream("deflate"));
  const region = new Region(x, y, width, height);
  const { pixels } = region;
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = (bits[at >> 3] >> (7 - (at & 7))) & 1;
  return region;
}

/** @param {Region} region @returns {Promise<WireMask>} */
export async function pack(region) {
  if (region.isEmpty) return { box: [0, 0, 0, 0], bits: "" };
  const { pixels } = region;
  const bits = new Uint8Array(Math.ceil(pixels.length / 8));
  for (let at = 0; at < pixels.length; at += 1) bits[at >> 3] |= pixels[at] << (7 - (at & 7));
  const packed = await through(bits, new CompressionStream("deflate"));
  return { box: [region.x, region.y, region.width, region.height], bits: base64(packed) };
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {CompressionStream | DecompressionStream} stream */
async function through(bytes, stream) {
  const writer = stream.writable.getWriter(); // rather than a Blob, which goes through another process
  const written = writer.write(bytes).then(() => writer.close());
  const [buffer] = await Promise.all([new Response(stream.readable).arrayBuffer(), written]);
  return new Uint8Array(buffer);
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
