/* The stage: the shown photograph, in colour as is wished, compared with what it was. */

import { backEnd } from "./back_end.js";
import { $, drag } from "./dom.js";
import { say } from "./messages.js";
import { fresh, on, state } from "./state.js";

export const VIEW_SIDE = 1280; // pixels of the picture
export const LARGE_SIDE = 2048; // of the enlarged one
const LARGEST_SCALE = 2; // of a small picture
const FIRST_CUT = 12; // per cent that are as before at first

/* Return where a pointer is, in pixels of the photograph. */
export function placeOf(event) {
  const box = $("frame").getBoundingClientRect();
  const { width, height } = state.shown.photo;
  return [
    ((event.clientX - box.left) / box.width) * width,
    ((event.clientY - box.top) / box.height) * height,
  ];
}

/* Return the colour "#rrggbb" that is shown at a place, in pixels of the photograph. */
export function colourAt(x, y) {
  const picture = $("coloured").firstChild;
  if (!picture) return "#808080";
  const { width, height } = state.shown.photo;
  const columns = picture.naturalWidth ?? picture.width; // of an image, or of a canvas
  const rows = picture.naturalHeight ?? picture.height;
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  const at = [Math.floor((x / width) * columns), Math.floor((y / height) * rows)];
  context.drawImage(picture, ...at, 1, 1, 0, 0, 1, 1);
  const rgb = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  return `#${rgb.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/* The frame is as large as the view lets a picture of this shape be, times the zoom. */
function fit() {
  if (!state.shown) return;
  const { offsetWidth, offsetHeight } = $("view"); // scroll bars included: they come with the zoom
  const [width, height] = state.shown.photo.view;
  const fits = Math.min(offsetWidth / width, offsetHeight / height, LARGEST_SCALE);
  const scale = Math.max(0.01, fits) * state.zoom;
  $("frame").style.width = `${width * scale}px`;
  $("frame").style.height = `${height * scale}px`;
}

const side = () => (state.zoom > 1 ? LARGE_SIDE : VIEW_SIDE);

function setCut(percent) {
  $("cut").value = percent;
  $("cut").setAttribute("aria-valuetext", `left ${Math.round(percent)}% as before, the rest in colour`);
  $("frame").style.setProperty("--cut", `${percent}%`);
}

let busy = false;
let again = false;

/* Show the photograph as it is wished; while a picture is on its way, only the last wish counts. */
async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  $("frame").setAttribute("aria-busy", true);
  const card = state.shown;
  const wish = card.wish;
  try {
    const picture = await backEnd.picture(card.photo.id, "coloured", wish, side());
    if (card === state.shown) $("coloured").replaceChildren(picture);
    $("frame").dataset.wish = JSON.stringify(wish);
  } catch (error) {
    say(error.message);
  }
  busy = false;
  if (again && state.shown) refresh();
  else $("frame").setAttribute("aria-busy", false);
  again = false;
}

async function showBefore(card) {
  try {
    const picture = await backEnd.picture(card.photo.id, "before", fresh(card.photo), side());
    if (card === state.shown) $("before").replaceChildren(picture);
  } catch (error) {
    say(error.message);
  }
}

let shownSide = 0;

/* Fit the frame, and show larger pictures where the ones that are shown are too small. */
function resize() {
  fit();
  if (!state.shown || side() <= shownSide) return;
  shownSide = side();
  showBefore(state.shown);
  refresh();
}

export function startStage() {
  on("shown", () => {
    $("before").replaceChildren();
    $("coloured").replaceChildren();
    $("coloured").setAttribute("aria-label", `${state.shown.path}, coloured`);
    setCut(FIRST_CUT);
    shownSide = 0;
    resize();
  });
  on("wish", refresh);
  on("zoom", resize);
  new ResizeObserver(fit).observe($("view"));
  $("cut").addEventListener("input", () => setCut($("cut").value));
  $("cutter").addEventListener("pointerdown", (event) => {
    const percentOf = (move) => (placeOf(move)[0] / state.shown.photo.width) * 100;
    drag(event, (move) => setCut(Math.min(100, Math.max(0, percentOf(move)))));
  });
}
