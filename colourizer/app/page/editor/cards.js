/* The cards: one for each photograph, with its state; and the bar that sums them up. */

import { backEnd } from "./back_end.js";
import { $, element } from "./dom.js";
import { on, state, tell } from "./state.js";

const CARD_SIDE = 512; // pixels of a card's picture
const FADE_MILLISECONDS = 600; // as in editor.css

/* Add a card for a file, which the browser itself shows in grey if it can. */
export function addCard(file, path) {
  const card = { file, path, photo: null, state: "waiting", url: URL.createObjectURL(file) };
  const image = element("img", { alt: "", class: "grey", src: card.url });
  image.addEventListener("error", () => { image.hidden = true; }, { once: true });
  card.picture = element("span", { class: "picture" }, image);
  card.stateShown = element("span", { class: "state" }, "waiting");
  card.open = element("button", { type: "button", class: "open", disabled: "" }, card.picture,
    element("span", { class: "name", title: card.path }, card.path.split("/").pop()),
    card.stateShown);
  card.remove = element("button", { type: "button", class: "remove",
    "aria-label": `Remove ${card.path}`, title: "Remove" }, "\u00d7");
  card.remove.addEventListener("click", () => {
    if (card.saved !== false || confirm(`Remove ${card.path}, with the changes to its colours?`)) {
      removeCards([card]);
    }
  });
  card.item = element("li", { class: "card" }, card.open, card.remove);
  state.cards.push(card);
  $("cards").append(card.item);
  tell("cards");
  return card;
}

export function setState(card, name, text) {
  card.state = name;
  card.stateShown.textContent = text;
  card.item.classList.toggle("wrong", name === "wrong");
  card.open.disabled = name !== "done";
  tell("cards");
}

/* Say how much of a photograph has been uploaded. */
export function showProgress(card, share) {
  card.stateShown.textContent = share < 1 ? `uploading ${Math.round(100 * share)}%`
    : "colouring \u2026";
}

/* Put a picture from the back end on a card, once it is there. */
export async function showOnCard(card, what) {
  const picture = await backEnd.picture(card.photo.id, what, card.wish, CARD_SIDE);
  picture.alt = what === "before" ? "" : `${card.path}, coloured`;
  picture.classList.add("appear");
  const before = [...card.picture.children];
  card.picture.append(picture);
  setTimeout(() => before.forEach((old) => old.remove()), FADE_MILLISECONDS);
}

export function removeCards(gone) {
  backEnd.forget(gone.filter((card) => card.photo).map((card) => card.photo.id));
  const at = state.cards.indexOf(gone[0]);
  for (const card of gone) {
    URL.revokeObjectURL(card.url);
    card.item.remove();
    state.cards.splice(state.cards.indexOf(card), 1);
  }
  tell("cards");
  (state.cards[Math.min(at, state.cards.length - 1)]?.remove ?? $("choose")).focus();
}

/* The photographs that are in colour. */
export const doneCards = () => state.cards.filter((card) => card.state === "done");

function showStatus() {
  const all = state.cards.length;
  const done = doneCards().length;
  const wrong = state.cards.filter((card) => card.state === "wrong").length;
  $("status").textContent = !all ? "" : `${done} of ${all} coloured`
    + (wrong ? `, ${wrong} failed` : "");
  $("progress").hidden = !all || done + wrong === all;
  $("progress").max = all || 1;
  $("progress").value = done + wrong;
  $("drop").hidden = all > 0;
  $("add").hidden = $("clear").hidden = !all;
  $("zip").hidden = done < 1;
  $("zip-options").hidden = $("zip").hidden;
  $("zip-all").textContent = done === 1 ? "" : ` all ${done}`;
  document.body.classList.toggle("has-photos", all > 0);
}

export function startCards() {
  on("cards", showStatus);
  $("clear").addEventListener("click", () => {
    if (confirm(`Remove all ${state.cards.length} from this page?`)) removeCards([...state.cards]);
  });
  addEventListener("beforeunload", (event) => {
    if (doneCards().some((card) => !card.saved)) event.preventDefault();
  });
}
