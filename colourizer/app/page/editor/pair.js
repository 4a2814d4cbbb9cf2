/* The photograph before and after, side by side in one JPEG. */

import { backEnd } from "./back_end.js";
import { LARGE_SIDE } from "./stage.js";

const QUALITY = 0.92; // of the JPEG

/* Return {name, blob} of a photograph as it is beside it as is wished. */
export async function makePair({ photo, wish }) {
  const pictures = await Promise.all(["before", "coloured"].map((what) =>
    backEnd.picture(photo.id, what, wish, LARGE_SIDE)));
  const sizes = pictures.map((picture) =>
    [picture.naturalWidth ?? picture.width, picture.naturalHeight ?? picture.height]);
  const [width, height] = sizes[1];
  const canvas = new OffscreenCanvas(2 * width, height);
  const context = canvas.getContext("2d");
  pictures.forEach((picture, n) => context.drawImage(picture, n * width, 0, width, height));
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  const stem = photo.name.split("/").pop().replace(/\.[^.]*$/, "");
  return { name: `${stem}_compared.jpg`, blob };
}
