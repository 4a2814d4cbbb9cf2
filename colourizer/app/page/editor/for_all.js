/* Settings that all photographs get: those on the page, and those that are added later. */

import { doneCards, showOnCard } from "./cards.js";
import { record } from "./history.js";
import { say } from "./messages.js";
import { state } from "./state.js";

/* Give a part of a wish to all photographs. */
export async function useForAll(part) {
  Object.assign(state.defaults, part);
  const others = doneCards().filter((card) => card !== state.shown);
  say(others.length ? `All ${others.length + 1} photographs have this now.`
    : "Photographs that are added from now on have this, too.");
  await giveWishes(others.map((card) => [card, part]));
}

/* Give cards that are not in the editor other settings: [card, part of a wish] each. */
export async function giveWishes(changes) {
  for (const [card, part] of changes) {
    card.wish = { ...card.wish, ...part };
    record(card);
  }
  await redraw(changes.map(([card]) => card));
}

/* Draw cards of which the colours have changed. */
export async function redraw(cards) {
  for (const card of cards) card.saved = false;
  for (const card of cards) {
    await showOnCard(card, "coloured").catch(() => {}); // or the old one stays
  }
}
