/* Settings of the shown photograph: vividness, variants; its confidence; back to the defaults. */

import { backEnd } from "./back_end.js";
import { $, element } from "./dom.js";
import { say } from "./messages.js";
import { VIEW_SIDE } from "./stage.js";
import { change, fresh, on, settle, state } from "./state.js";

const SHOWN_VARIANTS = 6;
const VARIANT_SIDE = 160; // pixels

function showPhoto() {
  const { photo } = state.shown;
  document.querySelectorAll(".knows").forEach((part) => { part.hidden = !photo.knows; });
  const variants = Array.from({ length: photo.knows ? SHOWN_VARIANTS : 0 }, makeVariant);
  $("variants").replaceChildren(...variants);
  $("sure").replaceChildren();
  $("sure").hidden = true;
  $("show-sure").checked = false;
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
  const { wish, photo } = state.shown;
  $("vividness").value = Math.round(wish.vividness * 100);
  $("vividness-shown").textContent = wish.vividness.toFixed(2);
  [...$("variants").children].forEach((button, n) => {
    button.setAttribute("aria-checked", n === wish.variant);
    button.tabIndex = n === wish.variant ? 0 : -1;
  });
  $("reset").disabled = JSON.stringify(wish) === JSON.stringify(fresh(photo));
}

/* Draw the variants as they are with what else is wished. */
function drawVariants() {
  const { photo, wish } = state.shown;
  [...$("variants").children].forEach((button, n) => {
    backEnd.picture(photo.id, "coloured", { ...wish, variant: n }, VARIANT_SIDE)
      .then((picture) => button.replaceChildren(picture), () => {}); // or the old one stays
  });
}

function chooseVariantByKey(event) {
  const at = state.shown.wish.variant;
  const to = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1,
    Home: 0, End: SHOWN_VARIANTS - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  change({ variant: (to + SHOWN_VARIANTS) % SHOWN_VARIANTS });
  $("variants").children[state.shown.wish.variant].focus();
}

async function showConfidence() {
  const card = state.shown;
  const { photo } = card;
  $("sure").hidden = !$("show-sure").checked;
  if ($("sure").hidden || $("sure").firstChild) return;
  try {
    const picture = await backEnd.picture(photo.id, "confidence", fresh(photo), VIEW_SIDE);
    if (card === state.shown) $("sure").replaceChildren(picture);
  } catch (error) {
    say(error.message);
  }
}

export function startSettings() {
  on("shown", showPhoto);
  on("wish", showWish);
  on("settled", drawVariants);
  $("vividness").addEventListener("input", () => {
    change({ vividness: $("vividness").value / 100 }, false);
  });
  $("vividness").addEventListener("change", settle);
  $("variants").addEventListener("keydown", chooseVariantByKey);
  $("show-sure").addEventListener("change", showConfidence);
  $("reset").addEventListener("click", () => {
    state.chosen = -1;
    change(fresh(state.shown.photo));
  });
}
