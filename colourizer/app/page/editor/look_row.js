/* The row of looks, each with a small picture; and one look for all photographs. */

import { $, element } from "./dom.js";
import { useForAll } from "./for_all.js";
import { LOOKS, lookOf } from "./looks.js";
import { drawPreviews } from "./previews.js";
import { change, on, state } from "./state.js";

const buttons = () => [...$("looks").children];
let drawn = ""; // what the pictures show besides the looks

function makeButton(name) {
  const button = element("button", { type: "button", "data-look": name },
    element("span", { class: "preview" }), element("span", {}, name.replace("-", " ")));
  button.addEventListener("click", () => change(lookOf(name, state.shown.photo)));
  return button;
}

function showWish() {
  const { photo, wish } = state.shown;
  for (const button of buttons()) {
    const look = Object.entries(lookOf(button.dataset.look, photo));
    button.setAttribute("aria-pressed", look.every(([key, value]) => wish[key] === value));
  }
}

function drawLooks() {
  const { photo, wish } = state.shown;
  const { variant, hints, reference } = wish;
  const shows = JSON.stringify([photo.id, state.album, variant, hints, reference]);
  if (shows === drawn) return;
  drawn = shows;
  drawPreviews("looks", photo.id, buttons().map((button) => {
    const look = lookOf(button.dataset.look, photo);
    return [{ ...wish, ...look }, (picture) => button.firstChild.replaceChildren(picture)];
  }), () => { drawn = ""; }); // or the old one stays
}

export function startLookRow() {
  $("looks").append(...Object.keys(LOOKS).map(makeButton));
  on("shown", () => {
    buttons().forEach((button) => button.firstChild.replaceChildren());
    drawn = "";
    showWish();
    drawLooks();
  });
  on("wish", showWish);
  on("settled", drawLooks);
  $("look-for-all").addEventListener("click", () => {
    const { vividness, warmth, saturation } = state.shown.wish;
    useForAll({ vividness, warmth, saturation });
  });
}
