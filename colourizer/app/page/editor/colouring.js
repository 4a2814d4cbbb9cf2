/* The queue: photographs are given to the back end, so many at a time as it takes. */

import { backEnd } from "./back_end.js";
import { setState, showOnCard, showProgress } from "./cards.js";
import { element } from "./dom.js";
import { begin } from "./history.js";
import { state } from "./state.js";

let busy = 0;

/* Colour all that waits. */
export function colourWaiting() {
  while (busy < backEnd.atOnce) {
    const card = state.cards.find((waiting) => waiting.state === "waiting");
    if (!card) return;
    busy++;
    setState(card, "busy", "colouring \u2026");
    colourize(card).finally(() => {
      busy--;
      colourWaiting();
    });
  }
}

async function colourize(card) {
  try {
    const photo = await backEnd.add(card.file, card.path, (share) => showProgress(card, share));
    if (!state.cards.includes(card)) {
      backEnd.forget([photo.id]);
      return;
    }
    card.photo = photo;
    begin(card);
    // No browser shows a TIFF.
    if (card.picture.firstChild?.hidden) await showOnCard(card, "before");
    await showOnCard(card, "coloured");
    setState(card, "done", `${photo.width} \u00d7 ${photo.height}`);
  } catch (error) {
    if (error.waitSeconds && state.cards.includes(card)) {
      await new Promise((done) => setTimeout(done, 1000 * error.waitSeconds));
      setState(card, "waiting", "waiting");
      return;
    }
    if (card.photo) {
      backEnd.forget([card.photo.id]);
      card.photo = null;
    }
    setState(card, "wrong", error.message);
    if (error.mayGoWell) {
      offerAgain(card);
      return;
    }
    card.picture.replaceChildren(element("span", { class: "soft" }, "no picture"));
  }
  URL.revokeObjectURL(card.url);
  card.file = null;
}

function offerAgain(card) {
  const again = element("button", { type: "button", class: "again" }, "Try again");
  again.addEventListener("click", () => {
    again.remove();
    setState(card, "waiting", "waiting");
    card.remove.focus();
    colourWaiting();
  });
  card.item.append(again);
}
