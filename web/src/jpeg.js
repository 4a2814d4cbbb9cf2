/* JPEG: its size and metadata read; its metadata put into another JPEG. */

import { ascii, join, startsWith } from "./bytes.js";
import { swapsSides } from "./orientation.js";
import { keepTrueResources } from "./photoshop.js";

const EXIF = "Exif\0\0";
const XMP = "http://ns.adobe.com/xap/1.0/\0";
const PROFILE = "ICC_PROFILE\0";
const MAX_SEGMENT = 65533; // bytes
export const MAX_EXIF = MAX_SEGMENT - EXIF.length;
const APP0 = 0xe0, APP1 = 0xe1, APP2 = 0xe2, APP13 = 0xed, APP15 = 0xef;
const COMMENT = 0xfe;
const SCAN = 0xda;

/* Return the segments before the first scan: {marker, body} each, and where that scan begins. */
function readSegments(bytes) {
  const segments = [];
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    if (marker === 0xff) { // a fill byte
      at++;
      continue;
    }
    if (marker === SCAN) break;
    const length = (bytes[at + 2] << 8) | bytes[at + 3];
    segments.push({ marker, body: bytes.subarray(at + 4, at + 2 + length), at });
    at += 2 + length;
  }
  return { segments, scan: at };
}

export const isJpeg = (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8;

/* Return what the first bytes of a JPEG say: {width, height}. */
export function readJpegSize(bytes) {
  const { segments } = readSegments(bytes);
  const frame = segments.find(({ marker }) =>
    marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))?.body;
  return {
    width: frame && ((frame[3] << 8) | frame[4]),
    height: frame && ((frame[1] << 8) | frame[2]),
  };
}

function segment(marker, ...parts) {
  const length = 2 + parts.reduce((sum, part) => sum + part.length, 0);
  return [Uint8Array.of(0xff, marker, length >> 8, length & 255), ...parts];
}

/* Return a JPEG's metadata: {exif, xmp, profile}, bytes or undefined. */
export function readJpegMetadata(bytes) {
  const { segments } = readSegments(bytes);
  const bodies = (wanted, head) => segments
    .filter(({ marker, body }) => marker === wanted && startsWith(body, head))
    .map(({ body }) => body.subarray(head.length));
  const profile = bodies(APP2, PROFILE)
    .sort(([one], [other]) => one - other) // the first byte is a number
    .flatMap((part) => [...part.subarray(2)]);
  return {
    exif: bodies(APP1, EXIF)[0],
    xmp: bodies(APP1, XMP)[0],
    profile: profile.length ? Uint8Array.from(profile) : undefined,
  };
}

/* Return the bytes of a JPEG that has a profile only. */
export function jpegOfProfile(profile) {
  const parts = [Uint8Array.of(0xff, 0xd8)];
  const room = MAX_SEGMENT - PROFILE.length - 2;
  const count = Math.ceil((profile?.length ?? 0) / room);
  for (let n = 0; n < count; n++) {
    const part = profile.subarray(n * room, (n + 1) * room);
    parts.push(...segment(APP2, ascii(PROFILE), Uint8Array.of(n + 1, count), part));
  }
  return join(parts);
}

/* Return the parts of a JPEG with the metadata of another.

   coloured: a JPEG's bytes. original: another's, and keepProfile whether its profile is right for
   the coloured one. exif, of MAX_EXIF bytes at most, and xmp: what is true of that; XMP that is too
   long is left out. orientation: the original's. */
export function withMetadataOfJpeg(coloured, original, keepProfile, { exif, xmp, orientation }) {
  const kept = readSegments(original).segments.filter(({ marker }) =>
    [APP0, APP2, APP13, COMMENT].includes(marker));
  const parts = [Uint8Array.of(0xff, 0xd8)];
  const jfif = kept.find(({ marker, body }) => marker === APP0 && startsWith(body, "JFIF\0"));
  if (jfif) {
    const [across, down] = [jfif.body.subarray(8, 10), jfif.body.subarray(10, 12)];
    const density = swapsSides(orientation) ? [down, across] : [across, down];
    parts.push(...segment(APP0, jfif.body.subarray(0, 8), ...density, Uint8Array.of(0, 0)));
  }
  for (const [head, body] of [[EXIF, exif], [XMP, xmp]]) {
    const fits = body && head.length + body.length <= MAX_SEGMENT;
    if (fits) parts.push(...segment(APP1, ascii(head), body));
  }
  for (const { marker, body } of kept) {
    if (marker === APP0) continue;
    if (marker === APP2 && !(startsWith(body, PROFILE) && keepProfile)) continue;
    const isPhotoshop = marker === APP13;
    parts.push(...segment(marker, isPhotoshop ? keepTrueResources(body, orientation > 1) : body));
  }
  // Of the coloured one, all but its own metadata.
  const { segments, scan } = readSegments(coloured);
  for (const { marker, body } of segments) {
    if (marker < APP0 || marker > APP15) parts.push(...segment(marker, body));
  }
  parts.push(coloured.subarray(scan));
  return parts;
}
