/* Undo and redo, one step at a time, and back to the beginning; each photograph has its own. */

import { $ } from "./dom.js";
import { change, fresh, on, state } from "./state.js";

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/* Begin a photograph's history, with the settings that it begins with. */
export function begin(card) {
  card.wish = card.kept = fresh(card.photo);
  card.past = [];
  card.future = [];
}

/* Record a photograph's settings as a step, if they are others than before. */
export function record(card) {
  if (same(card.wish, card.kept)) return;
  card.past.push(card.kept);
  card.future = [];
  card.kept = card.wish;
}

function step(from, to) {
  const card = state.shown;
  if (!card[from].length) return;
  card[to].push(card.kept);
  card.kept = card[from].pop();
  state.chosen = -1;
  change(card.kept);
}

const undo = () => step("past", "future");
const redo = () => step("future", "past");

function reset() {
  state.chosen = -1;
  change(fresh(state.shown.photo));
}

function show() {
  const { past, future, wish, photo } = state.shown;
  // A button that is disabled while it has the focus loses it.
  $("undo").setAttribute("aria-disabled", !past.length);
  $("redo").setAttribute("aria-disabled", !future.length);
  $("reset").setAttribute("aria-disabled", same(wish, fresh(photo)));
}

function pressed(event) {
  if (!state.shown || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return;
  event.preventDefault();
  if (key === "y" || event.shiftKey) redo();
  else undo();
}

export function startHistory() {
  on("shown", show);
  on("settled", () => {
    record(state.shown);
    show();
  });
  $("undo").addEventListener("click", undo);
  $("redo").addEventListener("click", redo);
  $("reset").addEventListener("click", reset);
  addEventListener("keydown", pressed);
}
