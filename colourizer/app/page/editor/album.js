/* The album: what several photographs show gets the same colours in all, if that is wished. */

import { backEnd } from "./back_end.js";
import { doneCards } from "./cards.js";
import { $ } from "./dom.js";
import { giveWishes, redraw } from "./for_all.js";
import { chosenHint } from "./hints.js";
import { say } from "./messages.js";
import { on, state, tell } from "./state.js";

let album = []; // the ids of its photographs; none if each is coloured for itself
let changed = []; // those that others give other colours
let busy = false;

const knowing = () => doneCards().filter((card) => card.photo.knows);
const cardsOf = (ids) => doneCards().filter((card) => ids.includes(card.photo.id));

/* Compare the photographs if that is wished and some are new, once all are in colour. */
async function update() {
  $("album").hidden = !backEnd.setAlbum || knowing().length < 2;
  const wished = $("same-colours").checked;
  if (busy || (wished && state.cards.some((card) => /waiting|busy/.test(card.state)))) return;
  const ids = wished ? knowing().map((card) => card.photo.id) : [];
  if (wished ? ids.every((id) => album.includes(id)) : !album.length) return;
  busy = true;
  $("album-state").textContent = wished ? `Comparing ${ids.length} photographs \u2026` : "";
  await setAlbum(ids);
  busy = false;
  update(); // others may have come meanwhile
}

async function setAlbum(ids) {
  try {
    const before = changed;
    changed = await backEnd.setAlbum(ids);
    album = ids;
    state.album++;
    if (state.shown) {
      tell("wish");
      tell("settled");
    }
    await redraw(cardsOf([...before, ...changed]));
    if (ids.length) $("album-state").textContent = describe();
  } catch (error) {
    if (error.waitSeconds) {
      await new Promise((done) => setTimeout(done, 1000 * error.waitSeconds));
      return;
    }
    $("same-colours").checked = false; // then each is for itself again
    $("album-state").textContent = "";
    say(error.message);
  }
}

const describe = () => (changed.length ? `${changed.length} of them show the same as others.`
  : "No two of them show the same.");

function showCarry() {
  $("carry-hint").hidden = !changed.includes(state.shown.photo.id)
    || !state.shown.wish.hints.length;
}

/* Give the chosen hint to the other photographs that show its place. */
async function carry() {
  const { photo, wish } = state.shown;
  try {
    const found = await backEnd.carryHint(photo.id, wish.hints[chosenHint()]);
    const changes = found.flatMap(({ id, ...hint }) => cardsOf([id]).map((card) => {
      const others = card.wish.hints.filter(({ x, y }) => x !== hint.x || y !== hint.y);
      return [card, { hints: [...others, hint] }];
    }));
    const names = changes.map(([card]) => card.path).join(", ");
    say(names ? `The hint is in ${names}, too.` : "No other photograph shows this place.");
    await giveWishes(changes);
  } catch (error) {
    say(error.message);
  }
}

export function startAlbum() {
  on("cards", update);
  on("shown", showCarry);
  on("wish", showCarry);
  $("same-colours").addEventListener("change", update);
  $("carry-hint").addEventListener("click", carry);
}
