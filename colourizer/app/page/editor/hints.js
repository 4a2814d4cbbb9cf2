/* Colour hints: markers on the photograph, a list beside it, and colours to choose from. */

import { backEnd } from "./back_end.js";
import { $, drag, element } from "./dom.js";
import { colourAt, placeOf } from "./stage.js";
import { change, on, settle, state } from "./state.js";

const SWATCHES = {
  skin: "#d9a385", red: "#b3262a", orange: "#cf7430", yellow: "#d8b13c", grass: "#5f7f35",
  leaves: "#3f6340", sky: "#7fa9d1", sea: "#2f6f8f", navy: "#2b3a67", violet: "#74508f",
  pink: "#d58a9d", brown: "#6f4a32", sand: "#c9ad84", grey: "#808080",
};
const STEP = 0.01; // of the longer side, that an arrow key moves a hint; five times with Shift

const markers = () => [...document.querySelectorAll(".hint")];
const colourInputs = () => [...$("hints").querySelectorAll("input")];

/* Draw the hints that are wished; those that are there already keep their elements and focus. */
function draw() {
  const { hints } = state.shown.wish;
  const { width, height } = state.shown.photo;
  for (let n = markers().length; n < hints.length; n++) {
    $("frame").append(makeMarker(n));
    $("hints").append(makeRow(n));
  }
  markers().slice(hints.length).forEach((marker) => marker.remove());
  [...$("hints").children].slice(hints.length).forEach((row) => row.remove());
  const inputs = colourInputs();
  markers().forEach((marker, n) => {
    const { x, y, colour } = hints[n];
    marker.style.left = `${((x + 0.5) / width) * 100}%`;
    marker.style.top = `${((y + 0.5) / height) * 100}%`;
    marker.style.background = colour;
    inputs[n].value = colour;
  });
  $("swatches").hidden = !hints.length;
  choose(state.chosen);
}

function makeMarker(n) {
  const marker = element("button", { type: "button", class: "hint",
    "aria-label": `Hint ${n + 1}: arrow keys move it, Enter goes to its colour, Delete removes it` });
  marker.addEventListener("focus", () => choose(n));
  marker.addEventListener("pointerdown", (event) => dragMarker(event, n));
  marker.addEventListener("keydown", (event) => pressed(event, n));
  return marker;
}

function makeRow(n) {
  const input = element("input", { type: "color", "aria-label": `Colour of hint ${n + 1}` });
  input.addEventListener("input", () => paint(n, input.value, false));
  input.addEventListener("change", settle);
  input.addEventListener("focus", () => choose(n));
  const remove = element("button", { type: "button", "aria-label": `Remove hint ${n + 1}` },
    "\u00d7");
  remove.addEventListener("click", () => removeHint(n));
  return element("li", {}, input, element("span", {}, `Hint ${n + 1}`), remove);
}

function choose(n) {
  state.chosen = n;
  markers().forEach((marker, i) => marker.classList.toggle("chosen", i === n));
  [...$("hints").children].forEach((row, i) => row.classList.toggle("chosen", i === n));
}

function setHint(n, part, settled = true) {
  const hints = state.shown.wish.hints.map((hint, i) => (i === n ? { ...hint, ...part } : hint));
  change({ hints }, settled);
}

const paint = (n, colour, settled) => setHint(n, { colour }, settled);

function inside(x, y) {
  const { width, height } = state.shown.photo;
  const within = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value)));
  return { x: within(x, width), y: within(y, height) };
}

function addHint(x, y) {
  const place = inside(x, y);
  const { hints } = state.shown.wish;
  state.chosen = hints.length;
  change({ hints: [...hints, { ...place, colour: colourAt(place.x, place.y) }] });
}

function removeHint(n) {
  state.chosen = -1;
  change({ hints: state.shown.wish.hints.filter((_, i) => i !== n) });
  $("add-hint").focus();
}

function dragMarker(event, n) {
  choose(n);
  const marker = event.target;
  const { width, height } = state.shown.photo;
  let to = null;
  const follow = (move) => {
    to = placeOf(move);
    marker.style.left = `${(to[0] / width) * 100}%`;
    marker.style.top = `${(to[1] / height) * 100}%`;
  };
  drag(event, follow, () => {
    if (to) setHint(n, inside(...to));
    colourInputs()[n].focus();
  });
}

/* Arrow keys move a hint, Enter goes to its colour, Delete removes it. */
function pressed(event, n) {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    colourInputs()[n].focus();
  }
  const { x, y } = state.shown.wish.hints[n];
  const { width, height } = state.shown.photo;
  const step = Math.max(1, Math.max(width, height) * STEP * (event.shiftKey ? 5 : 1));
  const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step],
    ArrowDown: [0, step] }[event.key];
  const removes = event.key === "Delete" || event.key === "Backspace";
  if (by || removes) event.preventDefault();
  if (by) setHint(n, inside(Math.round(x + by[0]), Math.round(y + by[1])));
  if (removes) removeHint(n);
}

function setHinting(hinting) {
  state.hinting = hinting;
  $("hint-mode").setAttribute("aria-pressed", hinting);
  $("frame").classList.toggle("takes-clicks", hinting);
}

/* The number of the chosen hint, or of the last one. */
export const chosenHint = () => {
  const { hints } = state.shown.wish;
  return state.chosen in hints ? state.chosen : hints.length - 1;
};

function makeSwatch([name, colour]) {
  const button = element("button", { type: "button", "aria-label": name, title: name });
  button.style.background = colour;
  button.addEventListener("click", () => {
    choose(chosenHint());
    paint(state.chosen, colour);
  });
  return button;
}

export function startHints() {
  on("shown", draw);
  on("wish", draw);
  document.querySelector(".takes-hints").hidden = !backEnd.takesHints;
  $("hint-mode").addEventListener("click", () => setHinting(!state.hinting));
  $("frame").addEventListener("click", (event) => {
    if (!state.hinting || event.target !== $("frame")) return;
    addHint(...placeOf(event));
    colourInputs().at(-1).focus();
  });
  // Escape leaves the mode first, and the editor only then.
  $("editor").addEventListener("cancel", (event) => {
    if (!state.hinting || event.target !== $("editor")) return;
    event.preventDefault();
    setHinting(false);
  });
  $("add-hint").addEventListener("click", () => {
    const { width, height } = state.shown.photo;
    addHint(width / 2, height / 2);
    markers().at(-1).focus(); // arrow keys move it
  });
  $("swatches").append(...Object.entries(SWATCHES).map(makeSwatch));
}
