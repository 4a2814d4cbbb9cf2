/* What the page holds, and events that tell of changes to it. */

/* cards: {file, path, url, photo, state, wish, touched, saved, of history.js past, kept and
     future, and elements} of each photograph;
     state is "waiting", "busy", "done" or "wrong"; photo and wish are those of back_end.js
   shown: the card in the editor
   chosen: which of its hints is chosen, or -1
   hinting: whether a click on the photograph makes a hint
   zoom: how many times as large as fits the photograph is shown, 1 and more
   album: how many times the album has changed, and with it the colours of any wish
   defaults: the part of a wish that all photographs begin with, if it was set for all */
export const state = {
  cards: [], shown: null, chosen: -1, hinting: false, zoom: 1, album: 0, defaults: {},
};

/* Events: "cards", one was added, removed or has another state; "shown", another photograph is in
   the editor; "wish", its settings changed; "settled", they did and are not being dragged;
   "zoom", it is shown in another size. */
const events = new EventTarget();
export const on = (kind, listener) => events.addEventListener(kind, listener);
export const tell = (kind) => events.dispatchEvent(new Event(kind));

/* The settings that a photograph begins with. */
export const fresh = (photo) => ({
  vividness: photo.vividness, warmth: 0, saturation: 1, variant: 0, hints: [], reference: null,
  ...state.defaults,
});

/* Change some settings of the shown photograph.

   part: of a wish. settled: false while a slider is being dragged; `settle` ends that. */
export function change(part, settled = true) {
  const card = state.shown;
  card.wish = { ...card.wish, ...part };
  card.touched = true;
  card.saved = false;
  tell("wish");
  if (settled) settle();
}

export const settle = () => tell("settled");
