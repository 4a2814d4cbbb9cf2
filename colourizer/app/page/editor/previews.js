/* Small pictures of other settings: drawn after what is shown, and only as was wished last. */

import { backEnd } from "./back_end.js";

const PREVIEW_SIDE = 160; // pixels

const waiting = new Map(); // by group, those that are yet to be drawn
let busy = 0;

/* Draw pictures of a photograph, [wish, place(picture)] each, instead of the group's others.

   failed: called if one cannot be drawn. */
export function drawPreviews(group, id, wanted, failed = () => {}) {
  const ifLast = (act) => (picture) => {
    if (waiting.get(group) === previews) act(picture);
  };
  const previews = wanted.map(([wish, place]) => () =>
    backEnd.picture(id, "coloured", wish, PREVIEW_SIDE).then(ifLast(place), ifLast(failed)));
  waiting.set(group, previews);
  while (busy < backEnd.atOnce && draw());
}

/* Begin the next one; return whether there was one. */
function draw() {
  const next = [...waiting.values()].find((previews) => previews.length)?.shift();
  if (!next) return false;
  busy++;
  next().finally(() => {
    busy--;
    draw();
  });
  return true;
}
