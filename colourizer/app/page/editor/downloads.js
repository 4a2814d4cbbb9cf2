/* Downloads: one coloured photograph, or a ZIP of all. */

import { backEnd } from "./back_end.js";
import { doneCards } from "./cards.js";
import { $, element } from "./dom.js";
import { fileOptions } from "./file_options.js";
import { say } from "./messages.js";
import { makePair } from "./pair.js";
import { state, tell } from "./state.js";

async function save(button, cards, makeFile) {
  const label = [...button.childNodes];
  button.disabled = true;
  button.replaceChildren("Preparing \u2026");
  try {
    const { name, blob, failed } = await makeFile();
    const url = URL.createObjectURL(blob);
    element("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    for (const card of cards) card.saved = true;
    if (failed) say(`${failed} could not be coloured; failed.txt in the ZIP says why.`);
  } catch (error) {
    say(error.message);
  }
  button.disabled = false;
  button.replaceChildren(...label);
  button.focus();
  tell("cards");
}

const savePhoto = (button, card) =>
  save(button, [card], () => backEnd.download(card.photo.id, card.wish, fileOptions()));

export function startDownloads() {
  $("download").addEventListener("click", () => savePhoto($("download"), state.shown));
  $("zip").addEventListener("click", () => {
    const done = doneCards();
    if (done.length === 1) {
      savePhoto($("zip"), done[0]);
      return;
    }
    save($("zip"), done, () =>
      backEnd.zip(done.map((card) => ({ id: card.photo.id, wish: card.wish })), fileOptions()));
  });
  $("pair").addEventListener("click", () => save($("pair"), [], () => makePair(state.shown)));
}
