/* EXIF of a photograph that was turned upright and coloured. */

import { swapsSides, turnExtent, turnPoint } from "./orientation.js";

const ASCII = 2, SHORT = 3, LONG = 4;
const ORIENTATION = 0x112, SOFTWARE = 0x131;
const DIRECTORIES = [0x8769, 0xa005]; // what the first one points to, and what that points to
const SAMPLES = [0x102, 0x106, 0x115]; // how those of the grey picture are stored
const WIDTHS = [0x100, 0xa002, 0x1001], HEIGHTS = [0x101, 0xa003, 0x1002];
const RESOLUTIONS = [[0x11a, 0x11b], [0xa20e, 0xa20f]]; // across and down
const SUBJECT = [0x9214, 0xa214]; // a centre in pixels; of an area, its size too

const EMPTY = Uint8Array.of(0x49, 0x49, 42, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0); // no tags

/* Return the orientation, 1 to 8, that EXIF gives; XMP, if that is given, where EXIF has none. */
export function readOrientation(exif, xmp) {
  const orientation = orientationInExif(exif) ?? orientationInXmp(xmp);
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

function orientationInExif(exif) {
  try {
    const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
    const little = exif[0] === 0x49;
    const at = readDirectory(view, view.getUint32(4, little), little).get(ORIENTATION);
    return at && view.getUint16(at + 8, little);
  } catch {
    return undefined; // no EXIF, or a damaged one
  }
}

const orientationInXmp = (xmp) =>
  Number(/tiff:Orientation(?:="|>)(\d)/.exec(new TextDecoder().decode(xmp))?.[1]);

/* Return EXIF, as a TIFF, with an upright orientation and a program appended to Software.

   exif: as it is in the file; undefined if there is none. orientation: as there. size: [height,
   width] of the upright picture. What all other tags point to stays where it is: a new first
   directory is appended. The thumbnail, which is grey, is left out. */
export function updateExif(exif, orientation, size, software) {
  try {
    return update(exif ?? EMPTY, orientation, size, software);
  } catch {
    return update(EMPTY, orientation, size, software); // damaged
  }
}

function update(exif, orientation, size, software) {
  const old = new DataView(exif.buffer, exif.byteOffset, exif.length);
  const little = exif[0] === 0x49;
  const directory = readDirectory(old, old.getUint32(4, little), little);
  const program = programs(exif, old, directory.get(SOFTWARE), little, software);
  const entries = [...directory].filter(([tag]) => ![SOFTWARE, ...SAMPLES].includes(tag));
  const start = exif.length + (exif.length % 2);
  const end = start + 2 + 12 * (entries.length + 1) + 4;
  const bytes = new Uint8Array(end + program.length);
  bytes.set(exif);
  bytes.set(program, end);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, start, little);
  view.setUint16(start, entries.length + 1, little);
  const all = [...entries, [SOFTWARE]].sort(([one], [other]) => one - other);
  all.forEach(([tag, at], n) => {
    const to = start + 2 + 12 * n;
    if (tag === SOFTWARE) {
      view.setUint16(to, SOFTWARE, little);
      view.setUint16(to + 2, ASCII, little);
      view.setUint32(to + 4, program.length, little);
      view.setUint32(to + 8, end, little);
      return;
    }
    bytes.set(exif.subarray(at, at + 12), to);
    if (tag === ORIENTATION) {
      view.setUint16(to + 2, SHORT, little);
      view.setUint16(to + 8, 1, little);
    }
  });
  try {
    turnDirectories(bytes, view, start, little, orientation, size);
  } catch {
    // a directory that is cut off, which stays as it is
  }
  return bytes;
}

/* Return the places of a directory's entries by their tags. */
function readDirectory(view, at, little) {
  return new Map(Array.from({ length: view.getUint16(at, little) }, (_, n) => {
    const place = at + 2 + 12 * n;
    view.getUint32(place + 8, little); // throws beyond the end
    return [view.getUint16(place, little), place];
  }));
}

/* Make sizes, resolutions and positions those of the upright picture, where they stand. */
function turnDirectories(bytes, view, at, little, orientation, size, inner = DIRECTORIES) {
  const places = readDirectory(view, at, little);
  for (const [tags, value] of [[WIDTHS, size[1]], [HEIGHTS, size[0]]]) {
    for (const tag of tags) putNumber(view, places.get(tag), little, value);
  }
  for (const [across, down] of RESOLUTIONS.map((pair) => pair.map((tag) => places.get(tag)))) {
    if (!swapsSides(orientation) || !across || !down) continue;
    const value = bytes.slice(across + 2, across + 12); // all of an entry but its tag
    bytes.copyWithin(across + 2, down + 2, down + 12);
    bytes.set(value, down + 2);
  }
  for (const tag of SUBJECT) turnSubject(view, places.get(tag), little, orientation, size);
  const next = places.get(inner[0]);
  if (!next) return;
  const to = view.getUint32(next + 8, little);
  turnDirectories(bytes, view, to, little, orientation, size, inner.slice(1));
}

/* Replace a whole number; one that has become too large for SHORT is made a LONG. */
function putNumber(view, at, little, value) {
  const kind = at && view.getUint16(at + 2, little);
  if (![SHORT, LONG].includes(kind) || view.getUint32(at + 4, little) !== 1) return;
  const isShort = kind === SHORT && value < 1 << 16;
  view.setUint16(at + 2, isShort ? SHORT : LONG, little);
  view.setUint32(at + 8, 0, little);
  if (isShort) view.setUint16(at + 8, value, little);
  else view.setUint32(at + 8, value, little);
}

/* Turn a centre, and of an area its diameter or its width and height. */
function turnSubject(view, at, little, orientation, [height, width]) {
  const count = at && view.getUint32(at + 4, little);
  if (![2, 3, 4].includes(count) || view.getUint16(at + 2, little) !== SHORT) return;
  const from = count > 2 ? view.getUint32(at + 8, little) : at + 8;
  const numbers = Array.from({ length: count }, (_, n) => view.getUint16(from + 2 * n, little));
  const [x, y] = turnExtent(orientation, width, height) // of the stored picture
    .map((side, axis) => Math.min(numbers[axis] / side, 1));
  const centre = turnPoint(orientation, x, y);
  const extent = numbers.slice(2);
  const turned = [Math.round(centre[0] * width), Math.round(centre[1] * height),
    ...(extent.length === 2 ? turnExtent(orientation, ...extent) : extent)];
  turned.forEach((value, n) => view.setUint16(from + 2 * n, Math.min(value, 65535), little));
}

/* Return the value of Software: the programs before, and ours, as bytes. */
function programs(exif, view, at, little, software) {
  let before = "";
  if (at) {
    const count = view.getUint32(at + 4, little);
    const from = count > 4 ? view.getUint32(at + 8, little) : at + 8;
    before = String.fromCharCode(...exif.subarray(from, from + count)).replace(/[\0 ]+$/, "");
  }
  const text = before.includes(software) ? before : [before, software].filter(Boolean).join("; ");
  return Uint8Array.from(`${text}\0`, (c) => c.charCodeAt(0));
}
