/* The reference: a photograph in colour, whose colours go where the shown one looks like it. */

import { backEnd } from "./back_end.js";
import { $ } from "./dom.js";
import { useForAll } from "./for_all.js";
import { say } from "./messages.js";
import { change, on, state } from "./state.js";

let matched = ""; // the photograph and the reference that the words about the match are of

function show() {
  const { reference } = state.shown.wish;
  $("reference-chosen").hidden = !reference;
  $("reference-name").textContent = reference?.name ?? "";
  $("choose-reference").textContent = reference ? "Choose another \u2026" : "Choose a photograph \u2026";
  showMatch();
}

/* Say how much of the shown photograph the reference matches. */
async function showMatch() {
  const { photo, wish } = state.shown;
  const shows = wish.reference ? `${photo.id} ${wish.reference.id}` : "";
  if (shows === matched) return;
  matched = shows;
  $("reference-match").hidden = true;
  if (!shows) return;
  try {
    const { share, hardly } = await backEnd.match(photo.id, wish);
    if (shows !== matched) return;
    const told = `${Math.round(100 * share)}% of the photograph matched`;
    $("reference-match").textContent = hardly ? `${told}: hardly anything` : told;
    $("reference-match").hidden = false;
  } catch {
    if (shows === matched) matched = ""; // the picture says what is wrong
  }
}

async function use(file) {
  const card = state.shown;
  const button = $("choose-reference");
  button.disabled = true;
  button.textContent = "Reading \u2026";
  try {
    const { id } = await backEnd.addReference(file);
    if (card === state.shown) change({ reference: { id, name: file.name } });
  } catch (error) {
    say(`${file.name}: ${error.message}`);
  }
  button.disabled = false;
  if (state.shown) show();
}

export function startReference() {
  document.querySelector(".takes-references").hidden = !backEnd.addReference;
  on("shown", show);
  on("wish", show);
  $("choose-reference").addEventListener("click", () => $("reference-file").click());
  $("reference-file").addEventListener("change", ({ target }) => {
    if (target.files.length) use(target.files[0]);
    target.value = "";
  });
  $("remove-reference").addEventListener("click", () => {
    change({ reference: null });
    $("choose-reference").focus();
  });
  $("reference-for-all").addEventListener("click", () => {
    useForAll({ reference: state.shown.wish.reference });
  });
}
