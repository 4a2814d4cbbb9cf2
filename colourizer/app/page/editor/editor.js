/* The editor: a dialog with one photograph, from which one goes to the next. */

import { showOnCard } from "./cards.js";
import { $ } from "./dom.js";
import { state, tell } from "./state.js";

export function edit(card) {
  state.shown = card;
  state.chosen = -1;
  state.zoom = 1;
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

function go(step) {
  if (neighbour(step)) edit(neighbour(step));
}

/* Arrow keys go to the next photograph, except where they mean something else. */
function pressed(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const held = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey;
  if (!step || held || !state.shown || event.defaultPrevented) return;
  if (event.target.matches("input, select, .enlarged")) return;
  event.preventDefault();
  go(step);
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
    $(id).addEventListener("click", () => go(step));
  }
  $("editor").addEventListener("close", closed);
  addEventListener("keydown", pressed);
  addEventListener("popstate", () => {
    if ($("editor").open) $("editor").close();
  });
}
