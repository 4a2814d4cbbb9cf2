/* The editor: a dialog with one photograph, from which one goes to the next. */

import { showOnCard } from "./cards.js";
import { $ } from "./dom.js";
import { state, tell } from "./state.js";

export function edit(card) {
  state.shown = card;
  state.chosen = -1;
  $("title").textContent = card.path;
  if (!$("editor").open) {
    $("editor").showModal();
    history.pushState("editor", ""); // the browser's Back closes it
  }
  // A button that is disabled while it has the focus loses it.
  $("previous").setAttribute("aria-disabled", !neighbour(-1));
  $("next").setAttribute("aria-disabled", !neighbour(1));
  tell("shown");
}

function neighbour(step) {
  for (let i = state.cards.indexOf(state.shown) + step; i in state.cards; i += step) {
    if (state.cards[i].state === "done") return state.cards[i];
  }
  return null;
}

function closed() {
  const card = state.shown;
  state.shown = null;
  if (history.state === "editor") history.back();
  if (card.touched) showOnCard(card, "coloured").catch(() => {}); // or the old one stays
  card.touched = false;
  card.open.focus();
}

export function startEditor() {
  $("cards").addEventListener("click", (event) => {
    const open = event.target.closest(".open");
    if (open) edit(state.cards.find((card) => card.open === open));
  });
  $("close").addEventListener("click", () => $("editor").close());
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    $(id).addEventListener("click", () => {
      if (neighbour(step)) edit(neighbour(step));
    });
  }
  $("editor").addEventListener("close", closed);
  addEventListener("popstate", () => {
    if ($("editor").open) $("editor").close();
  });
}
