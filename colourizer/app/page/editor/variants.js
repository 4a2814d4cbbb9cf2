/* The variants: plausible colourings to choose from. */

import { $, element } from "./dom.js";
import { drawPreviews } from "./previews.js";
import { change, on, state } from "./state.js";

const SHOWN_VARIANTS = 6;

function showPhoto() {
  const { photo } = state.shown;
  const variants = Array.from({ length: photo.knows ? SHOWN_VARIANTS : 0 }, makeVariant);
  $("variants").replaceChildren(...variants);
  showWish();
  drawVariants();
}

function makeVariant(_, n) {
  const button = element("button", { type: "button", role: "radio",
    "aria-label": `Variant ${n + 1}` });
  button.addEventListener("click", () => change({ variant: n }));
  return button;
}

function showWish() {
  const { variant } = state.shown.wish;
  [...$("variants").children].forEach((button, n) => {
    button.setAttribute("aria-checked", n === variant);
    button.tabIndex = n === variant ? 0 : -1;
  });
}

/* Draw the variants as they are with what else is wished. */
function drawVariants() {
  const { photo, wish } = state.shown;
  const place = (button) => (picture) => button.replaceChildren(picture);
  drawPreviews("variants", photo.id, [...$("variants").children].map((button, n) =>
    [{ ...wish, variant: n }, place(button)]));
}

function chooseByKey(event) {
  const at = state.shown.wish.variant;
  const to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1,
    Home: 0, End: SHOWN_VARIANTS - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  change({ variant: (to + SHOWN_VARIANTS) % SHOWN_VARIANTS });
  $("variants").children[state.shown.wish.variant].focus();
}

export function startVariants() {
  on("shown", showPhoto);
  on("wish", showWish);
  on("settled", drawVariants);
  $("variants").addEventListener("keydown", chooseByKey);
}
