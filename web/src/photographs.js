/* The photographs that the page holds: what is known of each; pictures and files of them. */

import { chromaOf, chromaOfRgb, colourRow, hasColours, toGrey } from "./colours.js";
import { drawColoured, drawConfidence, enlargeChroma } from "./drawing.js";
import { propagateHints, propagateReference } from "./known_colours.js";
import { applyLook } from "./look.js";
import { hasLikelihoods, load, predict, readOut } from "./network.js";
import { colouredName, decode, inspect, makeColoured } from "./photo_file.js";
import { drawReduced, drawResized, greysOf, readGreys, reduced } from "./views.js";
import { resize, workingSize } from "./working_size.js";
import { Zip, uniqueNames } from "./zip.js";

const VIEW_SIDE = 2048; // pixels of the largest picture that the page shows
const SMALL_SIDE = 640; // pictures up to this side are JPEGs
const SMALL_QUALITY = 0.9;
const KEPT = 6; // predictions in memory, 10 MB each; others are made again
const MAX_REFERENCES = 16; // in memory, 8 MB each
const DEFAULT_VIVIDNESS = 0.75;

const photographs = new Map(); // {file, path, head, width, height} by id
const references = new Map(); // {outputs, trueChroma} by id, those used last at the end
const kept = new Map(); // {outputs, view} by id, those used last at the end
let added = 0;

/* Load the network before it is needed. */
export const prepare = () => load().catch(() => {}); // the first photograph says what is wrong

export async function add(file, path) {
  const head = await inspect(file);
  const id = String(++added);
  const { view, outputs, size } = await look(file, head);
  const photo = { file, path, head, ...size };
  photographs.set(id, photo);
  keep(kept, KEPT, id, { view, outputs });
  const scale = Math.min(1, VIEW_SIDE / Math.max(size.width, size.height));
  return {
    id,
    name: path,
    ...size,
    view: [size.width, size.height].map((side) => Math.max(1, Math.round(side * scale))),
    knows: hasLikelihoods(outputs),
    vividness: DEFAULT_VIVIDNESS,
  };
}

/* Decode a photograph and run the network: its view {grey, width, height} and the outputs. */
async function look(file, head) {
  const bitmap = await decode(file, head);
  const size = { width: bitmap.width, height: bitmap.height };
  const small = readGreys(bitmap);
  const view = greysOf(bitmap, Math.min(1, VIEW_SIDE / Math.max(size.width, size.height)));
  bitmap.close();
  const [rows, columns] = workingSize(size.height, size.width);
  const resized = resize(small.grey, small.width, small.height, columns, rows);
  const grey = Uint8Array.from(resized, Math.round);
  try {
    return { view, size, outputs: await predict(grey, rows, columns) };
  } catch (error) {
    throw Object.assign(new Error(`the network could not be run (${error.message})`),
      { mayGoWell: true });
  }
}

/* Put an item into a map of so many, from which the one that was used least recently goes. */
function keep(map, most, id, item) {
  map.delete(id);
  map.set(id, item);
  if (map.size > most) map.delete(map.keys().next().value);
}

function find(id) {
  const photo = photographs.get(id);
  if (!photo) throw new Error("this photograph is not here any more; add it again");
  return photo;
}

async function predictionOf(id) {
  const photo = find(id);
  const prediction = kept.get(id) ?? (await look(photo.file, photo.head));
  if (photographs.has(id)) keep(kept, KEPT, id, prediction);
  return prediction;
}

/* Return the chroma that a wish asks for, {a, b, width, height}. */
async function chromaFor(id, wish) {
  const { outputs, view } = await predictionOf(id);
  const photo = find(id);
  const plain = await readOut(outputs, wish.vividness, wish.variant);
  const { chroma: referred } = await applyReference(plain, outputs, wish);
  const chroma = applyLook(referred, wish, view);
  if (!wish.hints.length || !outputs.features) return chroma;
  const points = wish.hints.map(({ x, y, colour }) => {
    const [a, b] = chromaOf(colour);
    return { x: (x + 0.5) / photo.width, y: (y + 0.5) / photo.height, a, b };
  });
  return propagateHints(chroma, outputs, points);
}

async function applyReference(chroma, { features }, { reference, vividness, variant }) {
  if (!reference || !features) return { chroma, share: null, hardly: false };
  const known = references.get(reference.id);
  if (!known) throw new Error("this reference is not here any more; choose it again");
  keep(references, MAX_REFERENCES, reference.id, known);
  const predicted = await readOut(known.outputs, vividness, variant);
  const { trueChroma } = known;
  return propagateReference(chroma, features,
    { theirs: known.outputs.features, predicted, trueChroma });
}

/* Return how much of a photograph the reference of a wish matches, {share, hardly}. */
export async function match(id, wish) {
  const { outputs } = await predictionOf(id);
  const plain = await readOut(outputs, wish.vividness, wish.variant);
  const { share, hardly } = await applyReference(plain, outputs, wish);
  return { share, hardly };
}

/* Read a photograph in colour, to be named in wishes; return {id}. */
export async function addReference(file) {
  const head = await inspect(file);
  const { outputs } = await look(file, head);
  if (!outputs.features) throw new Error("this network takes no reference");
  const [, , rows, columns] = outputs.features.dims;
  const bitmap = await decode(file, head);
  const canvas = drawResized(bitmap, columns / 2, rows / 2);
  bitmap.close();
  const { data } = canvas.getContext("2d").getImageData(0, 0, columns / 2, rows / 2);
  if (!hasColours(data)) throw new Error("has no colours to take");
  const id = String(++added);
  keep(references, MAX_REFERENCES, id, { outputs, trueChroma: chromaOfRgb(data) });
  return { id };
}

/* Draw a picture: an ImageBitmap if it is large, else a JPEG. */
export async function picture(id, what, wish, side) {
  const canvas = await (what === "before" ? drawBefore(id, side) : draw(id, what, wish, side));
  if (side > SMALL_SIDE) return canvas.transferToImageBitmap();
  return canvas.convertToBlob({ type: "image/jpeg", quality: SMALL_QUALITY });
}

async function draw(id, what, wish, side) {
  const { outputs, view } = await predictionOf(id);
  const shown = reduced(view, side);
  if (what === "coloured") return drawColoured(shown, await chromaFor(id, wish));
  return drawConfidence(outputs.confidence, shown);
}

/* Draw the photograph as it is. */
async function drawBefore(id, side) {
  const { file, head } = find(id);
  const bitmap = await decode(file, head);
  const canvas = drawReduced(bitmap, Math.min(1, side / Math.max(bitmap.width, bitmap.height)));
  bitmap.close();
  return canvas;
}

/* Return the coloured file, in a format or, if that is undefined, in its own. */
async function colouredFile(id, wish, format) {
  const chroma = await chromaFor(id, wish);
  const { file, head, width, height } = find(id);
  const { a, b } = enlargeChroma(chroma, width, height);
  return makeColoured(file, head, format, (data, y, rows) => {
    const grey = toGrey(data);
    for (let row = 0; row < rows; row++) {
      colourRow(grey, row * width, a.row(y + row), b.row(y + row), data, 4 * row * width);
    }
  });
}

export async function download(id, wish, { format } = {}) {
  const blob = await colouredFile(id, wish, format);
  const { path, head } = find(id);
  return { name: colouredName(path, head, format).split("/").pop(), blob };
}

export async function zip(wanted, { format } = {}) {
  const made = new Zip();
  const found = wanted.map(({ id }) => photographs.get(id));
  const names = uniqueNames(
    found.map((photo) => (photo ? colouredName(photo.path, photo.head, format) : "")),
  );
  const failed = [];
  for (const [n, { id, wish }] of wanted.entries()) {
    try {
      await made.add(names[n], await colouredFile(id, wish, format));
    } catch (error) {
      failed.push(`${found[n]?.path ?? id}: ${error.message}`);
    }
  }
  if (failed.length) await made.add("failed.txt", new Blob([`${failed.join("\n")}\n`]));
  return { name: "colourized.zip", blob: made.close(), failed: failed.length };
}

export function forget(ids) {
  for (const id of ids) {
    photographs.delete(id);
    kept.delete(id);
    references.delete(id);
  }
}
