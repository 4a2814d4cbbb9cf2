/* WebP: its size and metadata read. */

import { startsWith } from "./bytes.js";

const EXIF = "Exif\0\0"; // before it, against the rules

export const isWebp = (bytes) => startsWith(bytes, "RIFF") && startsWith(bytes.subarray(8), "WEBP");

const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/* Return the contents of a file's chunks by their kinds. */
function readChunks(bytes) {
  const chunks = {};
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = viewOf(bytes).getUint32(at + 4, true);
    const kind = String.fromCharCode(...bytes.subarray(at, at + 4));
    chunks[kind] ??= bytes.subarray(at + 8, at + 8 + length);
    at += 8 + length + (length % 2);
  }
  return chunks;
}

/* Return what the first bytes of a WebP say: {width, height}; neither if it is damaged. */
export function readWebpSize(bytes) {
  const { VP8X: extended, VP8L: lossless, "VP8 ": lossy } = readChunks(bytes);
  try {
    if (extended) {
      const view = viewOf(extended); // 24 bits each
      const [width, height] = [view.getUint32(4, true) & 0xffffff, view.getUint32(6, true) >>> 8];
      return { width: 1 + width, height: 1 + height };
    }
    if (lossy) {
      const [width, height] = [6, 8].map((at) => viewOf(lossy).getUint16(at, true) & 0x3fff);
      return { width, height };
    }
    const bits = viewOf(lossless).getUint32(1, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff) };
  } catch {
    return {};
  }
}

/* Return a WebP's metadata: {exif, xmp, profile}, bytes or undefined. */
export function readWebpMetadata(bytes) {
  const { EXIF: exif, "XMP ": xmp, ICCP: profile } = readChunks(bytes);
  return { exif: exif && startsWith(exif, EXIF) ? exif.subarray(EXIF.length) : exif, xmp, profile };
}
