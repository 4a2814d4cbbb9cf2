/* Settings that all photographs get: those on the page, and those that are added later. */

import { doneCards, showOnCard } from "./cards.js";
import { record } from "./history.js";
import { say } from "./messages.js";
import { state } from "./state.js";

/* Give a part of a wish to all photographs. */
export async function useForAll(part) {
  Object.assign(state.defaults, part);
  const others = doneCards().filter((card) => card !== state.shown);
  for (const card of others) {
    card.wish = { ...card.wish, ...part };
    card.saved = false;
    record(card);
  }
  say(others.length ? `All ${others.length + 1} photographs have this now.`
    : "Photographs that are added from now on have this, too.");
  for (const card of others) {
    await showOnCard(card, "coloured").catch(() => {}); // or the old one stays
  }
}
