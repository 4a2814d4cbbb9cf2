/* What is drawn of a photograph: its view in colour, and where the network is sure. */

import { Enlarged, colourRow } from "./colours.js";
import { drawGrey, onCanvas } from "./views.js";

const CONFIDENCE_GAMMA = 4; // exponent of the confidence that is drawn; else low values hardly show

/* Return chroma {a, b} enlarged row by row to a size. */
export function enlargeChroma(chroma, width, height) {
  const [a, b] = [chroma.a, chroma.b].map((plane) =>
    new Enlarged(plane, chroma.width, chroma.height, width, height));
  return { a, b };
}

/* Draw a view {grey, width, height} in colour on a canvas. */
export function drawColoured({ grey, width, height }, chroma) {
  const { a, b } = enlargeChroma(chroma, width, height);
  const image = new ImageData(width, height);
  image.data.fill(255);
  for (let y = 0; y < height; y++) {
    colourRow(grey, y * width, a.row(y), b.row(y), image.data, 4 * y * width);
  }
  return onCanvas(image);
}

/* Draw the network's confidence, a tensor, in a size on a canvas; dark is low. */
export function drawConfidence({ data, dims }, { width, height }) {
  const powers = data.map((value) => value ** CONFIDENCE_GAMMA);
  const enlarged = new Enlarged(powers, dims[3], dims[2], width, height);
  const grey = new Uint8ClampedArray(width * height);
  for (let y = 0; y < height; y++) {
    grey.set(enlarged.row(y).map((value) => value * 255), y * width);
  }
  return drawGrey({ grey, width, height });
}
