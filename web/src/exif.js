/* EXIF and XMP of a photograph that was turned upright and coloured. */

const ASCII = 2, SHORT = 3;
const ORIENTATION = 0x112, SOFTWARE = 0x131, EXIF_DIRECTORY = 0x8769;
const SAMPLES = [0x102, 0x106, 0x115]; // how those of the grey picture are stored
const PIXEL_WIDTH = 0xa002, PIXEL_HEIGHT = 0xa003;

const EMPTY = Uint8Array.of(0x49, 0x49, 42, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0); // no tags

/* Return EXIF, as a TIFF, with an upright orientation and a program appended to Software.

   exif: as it is in the file; undefined if there is none. What all other tags point to stays where
   it is: a new first directory is appended. The thumbnail, which is grey, is left out. */
export function updateExif(exif, software) {
  try {
    return update(exif ?? EMPTY, software);
  } catch {
    return update(EMPTY, software); // damaged
  }
}

function update(exif, software) {
  const old = new DataView(exif.buffer, exif.byteOffset, exif.length);
  const little = exif[0] === 0x49;
  const directory = readDirectory(old, old.getUint32(4, little), little);
  const turned = directory.find(({ tag }) => tag === ORIENTATION);
  const swaps = turned && old.getUint16(turned.at + 8, little) >= 5;
  const program = programs(exif, old, directory, little, software);
  const entries = directory.filter(({ tag }) => ![SOFTWARE, ...SAMPLES].includes(tag));
  const start = exif.length + (exif.length % 2);
  const size = 2 + 12 * (entries.length + 1) + 4;
  const bytes = new Uint8Array(start + size + program.length);
  bytes.set(exif);
  bytes.set(program, start + size);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, start, little);
  view.setUint16(start, entries.length + 1, little);
  const all = [...entries, { tag: SOFTWARE }].sort((one, other) => one.tag - other.tag);
  all.forEach(({ tag, at }, n) => {
    const to = start + 2 + 12 * n;
    if (tag === SOFTWARE) {
      view.setUint16(to, SOFTWARE, little);
      view.setUint16(to + 2, ASCII, little);
      view.setUint32(to + 4, program.length, little);
      view.setUint32(to + 8, start + size, little);
      return;
    }
    bytes.set(exif.subarray(at, at + 12), to);
    if (tag === ORIENTATION) {
      view.setUint16(to + 2, SHORT, little);
      view.setUint16(to + 8, 1, little);
    }
  });
  const inner = entries.find(({ tag }) => tag === EXIF_DIRECTORY);
  if (swaps && inner) swapSides(bytes, view, view.getUint32(inner.at + 8, little), little);
  return bytes;
}

/* Return the places of a directory's entries, {tag, at}. */
function readDirectory(view, at, little) {
  return Array.from({ length: view.getUint16(at, little) }, (_, n) => {
    const place = at + 2 + 12 * n;
    view.getUint32(place + 8, little); // throws beyond the end
    return { tag: view.getUint16(place, little), at: place };
  });
}

/* Return the value of Software: the programs before, and ours, as bytes. */
function programs(exif, view, directory, little, software) {
  const entry = directory.find(({ tag }) => tag === SOFTWARE);
  let before = "";
  if (entry) {
    const count = view.getUint32(entry.at + 4, little);
    const from = count > 4 ? view.getUint32(entry.at + 8, little) : entry.at + 8;
    before = String.fromCharCode(...exif.subarray(from, from + count)).replace(/[\0 ]+$/, "");
  }
  const text = before.includes(software) ? before : [before, software].filter(Boolean).join("; ");
  return Uint8Array.from(`${text}\0`, (c) => c.charCodeAt(0));
}

/* Swap the width and height that the inner directory gives, for a picture turned by a quarter. */
function swapSides(bytes, view, at, little) {
  const tags = readDirectory(view, at, little);
  const [wide, high] = [PIXEL_WIDTH, PIXEL_HEIGHT].map((tag) => tags.find((e) => e.tag === tag));
  if (!wide || !high) return;
  const value = bytes.slice(wide.at + 2, wide.at + 12);
  bytes.set(bytes.slice(high.at + 2, high.at + 12), wide.at + 2);
  bytes.set(value, high.at + 2);
}

/* Return bytes with an XMP packet in them, in which the orientation is upright. */
export function uprightXmp(bytes) {
  const text = Array.from(bytes, (value) => String.fromCharCode(value)).join("");
  const found = /tiff:Orientation(?:="|='|>)(?=[2-8])/.exec(text);
  if (!found) return bytes;
  const upright = bytes.slice();
  upright[found.index + found[0].length] = "1".charCodeAt(0);
  return upright;
}
