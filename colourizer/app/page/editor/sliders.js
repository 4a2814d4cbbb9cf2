/* The sliders of a look: vividness, warmth and saturation. */

import { $ } from "./dom.js";
import { change, on, settle, state } from "./state.js";

const SCALE = 100; // of a slider's value, for 1 of the setting
const percent = (value) => `${Math.round(value * SCALE)}%`;
const SHOWN_AS = {
  vividness: percent,
  warmth: (value) => (value > 0 ? "+" : "") + percent(value),
  saturation: percent,
};

function showWish() {
  for (const [name, shownAs] of Object.entries(SHOWN_AS)) {
    const value = state.shown.wish[name];
    $(name).value = Math.round(value * SCALE);
    $(`${name}-shown`).textContent = shownAs(value);
  }
}

export function startSliders() {
  on("shown", showWish);
  on("wish", showWish);
  for (const name of Object.keys(SHOWN_AS)) {
    $(name).addEventListener("input", () => change({ [name]: $(name).value / SCALE }, false));
    $(name).addEventListener("change", settle);
  }
}
