/* The photographs that the page holds: what is known of each, and what is drawn of them. */

import { Enlarged, chromaOf, colourRow, toGrey } from "./colours.js";
import { propagateHints } from "./hints.js";
import { applyLook } from "./look.js";
import { hasLikelihoods, load, predict, readOut } from "./network.js";
import { colouredName, decode, inspect, makeColoured, strips } from "./photo_file.js";
import { blockMeans, blockSide, resize, workingSize } from "./working_size.js";
import { Zip, uniqueNames } from "./zip.js";

const VIEW_SIDE = 1280; // pixels of the largest picture that the page shows
const SMALL_SIDE = 640; // pictures up to this side are JPEGs
const SMALL_QUALITY = 0.9;
const KEPT = 6; // predictions in memory, 8 MB each; others are made again
const DEFAULT_VIVIDNESS = 0.6;
const CONFIDENCE_GAMMA = 4; // exponent of the confidence that is drawn; else low values hardly show

const photographs = new Map(); // {file, path, head, width, height} by id
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
  keep(id, { view, outputs });
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
  const view = drawView(bitmap);
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

/* Return a bitmap's greys, {grey, width, height}, averaged over blocks. */
function readGreys(bitmap) {
  const { width, height } = bitmap;
  const side = blockSide(height, width);
  const columns = Math.ceil(width / side);
  const grey = new Uint8Array(columns * Math.ceil(height / side));
  for (const { y, rows, data } of strips(bitmap, side)) {
    grey.set(blockMeans(toGrey(data), width, rows, side).grey, (y / side) * columns);
  }
  return { grey, width: columns, height: Math.ceil(height / side) };
}

function drawView(bitmap) {
  const scale = Math.min(1, VIEW_SIDE / Math.max(bitmap.width, bitmap.height));
  return greysOf(bitmap, scale);
}

/* Return the greys of a picture, reduced: {grey, width, height}. */
function greysOf(shown, scale) {
  const canvas = drawReduced(shown, scale);
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  return { grey: toGrey(data), width, height };
}

function drawReduced(shown, scale) {
  const [width, height] = [shown.width, shown.height].map((side) =>
    Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(shown, 0, 0, width, height);
  return canvas;
}

function keep(id, prediction) {
  kept.delete(id);
  kept.set(id, prediction);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

function find(id) {
  const photo = photographs.get(id);
  if (!photo) throw new Error("this photograph is not here any more; add it again");
  return photo;
}

async function predictionOf(id) {
  const photo = find(id);
  const prediction = kept.get(id) ?? (await look(photo.file, photo.head));
  if (photographs.has(id)) keep(id, prediction);
  return prediction;
}

/* Return the chroma that a wish asks for, {a, b, width, height}. */
async function chromaFor(id, wish) {
  const { outputs, view } = await predictionOf(id);
  const photo = find(id);
  const plain = await readOut(outputs, wish.vividness, wish.variant);
  const chroma = applyLook(plain, wish, view);
  if (!wish.hints.length || !outputs.features) return chroma;
  const points = wish.hints.map(({ x, y, colour }) => {
    const [a, b] = chromaOf(colour);
    return { x: (x + 0.5) / photo.width, y: (y + 0.5) / photo.height, a, b };
  });
  return propagateHints(chroma, outputs.features, points);
}

/* Draw a picture: an ImageBitmap if it is large, else a JPEG. */
export async function picture(id, what, wish, side) {
  const canvas = what === "before" ? await drawBefore(id, side) : await draw(id, what, wish, side);
  if (side > SMALL_SIDE) return canvas.transferToImageBitmap();
  return canvas.convertToBlob({ type: "image/jpeg", quality: SMALL_QUALITY });
}

async function draw(id, what, wish, side) {
  const { outputs, view } = await predictionOf(id);
  const shown = reduced(view, side);
  const image = new ImageData(shown.width, shown.height);
  if (what === "coloured") paint(image.data, shown, await chromaFor(id, wish));
  else paintGrey(image.data, what === "grey" ? shown.grey : confidence(outputs, shown));
  const canvas = new OffscreenCanvas(shown.width, shown.height);
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
  return canvas;
}

/* Draw the photograph as it is. */
async function drawBefore(id, side) {
  const { file, head } = find(id);
  const bitmap = await decode(file, head);
  const canvas = drawReduced(bitmap, Math.min(1, side / Math.max(bitmap.width, bitmap.height)));
  bitmap.close();
  return canvas;
}

function reduced(view, side) {
  const scale = side / Math.max(view.width, view.height);
  if (scale >= 1) return view;
  const canvas = new OffscreenCanvas(view.width, view.height);
  const image = new ImageData(view.width, view.height);
  paintGrey(image.data, view.grey);
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
  return greysOf(canvas, scale);
}

function paintGrey(rgba, grey) {
  for (let n = 0, at = 0; n < grey.length; n++, at += 4) {
    rgba[at] = rgba[at + 1] = rgba[at + 2] = grey[n];
    rgba[at + 3] = 255;
  }
}

function paint(rgba, { grey, width, height }, chroma) {
  const [a, b] = enlarge(chroma, width, height);
  rgba.fill(255);
  for (let y = 0; y < height; y++) {
    colourRow(grey, y * width, a.row(y), b.row(y), rgba, 4 * y * width);
  }
}

const enlarge = (chroma, width, height) =>
  [chroma.a, chroma.b].map((plane) =>
    new Enlarged(plane, chroma.width, chroma.height, width, height));

function confidence({ confidence: { data, dims } }, { width, height }) {
  const powers = data.map((value) => value ** CONFIDENCE_GAMMA);
  const enlarged = new Enlarged(powers, dims[3], dims[2], width, height);
  const grey = new Uint8ClampedArray(width * height);
  for (let y = 0; y < height; y++) {
    grey.set(enlarged.row(y).map((value) => value * 255), y * width);
  }
  return grey;
}

/* Return the coloured file, in a format or, if that is undefined, in its own. */
async function colouredFile(id, wish, format) {
  const chroma = await chromaFor(id, wish);
  const { file, head, width, height } = find(id);
  const [a, b] = enlarge(chroma, width, height);
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
  }
}
