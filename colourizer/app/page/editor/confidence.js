/* The confidence of the network, laid over the photograph, with a legend. */

import { backEnd } from "./back_end.js";
import { $ } from "./dom.js";
import { say } from "./messages.js";
import { VIEW_SIDE } from "./stage.js";
import { fresh, on, state } from "./state.js";

function hide() {
  $("sure").replaceChildren();
  $("show-sure").checked = false;
  show();
}

async function show() {
  const card = state.shown;
  $("sure").hidden = $("sure-legend").hidden = !$("show-sure").checked;
  if ($("sure").hidden || $("sure").firstChild) return;
  try {
    const wish = fresh(card.photo);
    const picture = await backEnd.picture(card.photo.id, "confidence", wish, VIEW_SIDE);
    if (card === state.shown) $("sure").replaceChildren(picture);
  } catch (error) {
    say(error.message);
  }
}

export function startConfidence() {
  on("shown", hide);
  $("show-sure").addEventListener("change", show);
}
