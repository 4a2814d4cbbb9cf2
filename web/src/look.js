/* What a look's saturation and warmth do to chroma, as colourizer/inference/looks.py does it. */

import { LIGHTNESS } from "./colours.js";
import { resize } from "./working_size.js";

const WARM_SHIFT = [2.4, 17.7]; // Lab units, a and b, at middle lightness

/* Return chroma with a look; `view` is the photograph's {grey, width, height}, of any size. */
export function applyLook(chroma, { saturation = 1, warmth = 0 }, view) {
  const { width, height } = chroma;
  const planes = [chroma.a, chroma.b].map((plane) => plane.map((value) => value * saturation));
  if (warmth) {
    const lightness = Float32Array.from(view.grey, (grey) => LIGHTNESS[grey]);
    const small = resize(lightness, view.width, view.height, width, height);
    planes.forEach((plane, n) => {
      for (let i = 0; i < plane.length; i++) {
        const share = small[i] / 100;
        plane[i] += warmth * WARM_SHIFT[n] * 4 * share * (1 - share);
      }
    });
  }
  return { a: planes[0], b: planes[1], width, height };
}
