/* Views: a photograph's greys, {grey, width, height}, reduced for the network and for the page. */

import { toGrey } from "./colours.js";
import { strips } from "./photo_file.js";
import { blockMeans, blockSide } from "./working_size.js";

/* Return a bitmap's greys, {grey, width, height}, averaged over blocks. */
export function readGreys(bitmap) {
  const { width, height } = bitmap;
  const side = blockSide(height, width);
  const columns = Math.ceil(width / side);
  const grey = new Uint8Array(columns * Math.ceil(height / side));
  for (const { y, rows, data } of strips(bitmap, side)) {
    grey.set(blockMeans(toGrey(data), width, rows, side).grey, (y / side) * columns);
  }
  return { grey, width: columns, height: Math.ceil(height / side) };
}

/* Return the greys of a picture, reduced: {grey, width, height}. */
export function greysOf(shown, scale) {
  const canvas = drawReduced(shown, scale);
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  return { grey: toGrey(data), width, height };
}

/* Draw a picture at a share of its size on a canvas. */
export function drawReduced(shown, scale) {
  const [width, height] = [shown.width, shown.height].map((side) =>
    Math.max(1, Math.round(side * scale)));
  return drawResized(shown, width, height);
}

/* Draw a picture in another size on a canvas, on white. */
export function drawResized(shown, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(shown, 0, 0, width, height);
  return canvas;
}

/* Return a view with no side longer than `side`; those of each size are kept with it. */
export function reduced(view, side) {
  const scale = side / Math.max(view.width, view.height);
  if (scale >= 1) return view;
  view.smaller ??= new Map();
  if (!view.smaller.has(side)) view.smaller.set(side, reduceView(view, scale));
  return view.smaller.get(side);
}

function reduceView(view, scale) {
  return greysOf(drawGrey(view), scale);
}

/* Draw a view {grey, width, height} on a canvas. */
export function drawGrey({ grey, width, height }) {
  const image = new ImageData(width, height);
  for (let n = 0, at = 0; n < grey.length; n++, at += 4) {
    image.data[at] = image.data[at + 1] = image.data[at + 2] = grey[n];
    image.data[at + 3] = 255;
  }
  return onCanvas(image);
}

/* Put pixels on a canvas. */
export function onCanvas(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
  return canvas;
}
