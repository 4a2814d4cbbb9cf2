/* Zoom and full screen: by wheel, two fingers, buttons and keys; what is enlarged can be dragged. */

import { $, drag } from "./dom.js";
import { on, state, tell } from "./state.js";

const MOST = 8; // times the size that fits
const STEP = 1.25; // of a button or key
const WHEEL_STEP = 1.002; // of a pixel of the wheel
const QUICK = 3; // of a double click
const SLACK = 4; // pixels that a click may move

/* Enlarge the photograph, about a point of the screen that stays where it is. */
function setZoom(zoom, at = centre()) {
  const box = $("frame").getBoundingClientRect();
  const [across, down] = [(at[0] - box.left) / box.width, (at[1] - box.top) / box.height];
  state.zoom = Math.min(MOST, Math.max(1, zoom));
  tell("zoom");
  const after = $("frame").getBoundingClientRect();
  $("view").scrollLeft += after.left + across * after.width - at[0];
  $("view").scrollTop += after.top + down * after.height - at[1];
}

function centre() {
  const box = $("view").getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
}

function show() {
  $("zoom-fit").textContent = `${Math.round(state.zoom * 100)}%`;
  $("zoom-out").setAttribute("aria-disabled", state.zoom <= 1);
  $("zoom-in").setAttribute("aria-disabled", state.zoom >= MOST);
  $("view").classList.toggle("enlarged", state.zoom > 1);
}

let moved = false; // whether the pointer that is down was moved: then no click follows

function pan(event) {
  moved = false;
  if (event.target !== $("frame") || event.pointerType !== "mouse" || state.zoom <= 1) return;
  const from = [event.clientX + $("view").scrollLeft, event.clientY + $("view").scrollTop];
  const [x, y] = [event.clientX, event.clientY];
  drag(event, (move) => {
    moved ||= Math.hypot(move.clientX - x, move.clientY - y) > SLACK;
    if (moved) $("view").scrollTo(from[0] - move.clientX, from[1] - move.clientY);
  });
}

let pinched = null; // {distance, zoom} when the second finger came

const span = ([one, other]) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);

function pinch(event) {
  if (event.touches.length !== 2) {
    pinched = null;
    return;
  }
  event.preventDefault();
  const [one, other] = event.touches;
  pinched ??= { distance: span(event.touches), zoom: state.zoom };
  const at = [(one.clientX + other.clientX) / 2, (one.clientY + other.clientY) / 2];
  setZoom((pinched.zoom * span(event.touches)) / pinched.distance, at);
}

function pressed(event) {
  if (!state.shown || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=range]), select")) return;
  const zoom = { "+": state.zoom * STEP, "=": state.zoom * STEP, "-": state.zoom / STEP, 0: 1 };
  if (event.key in zoom) setZoom(zoom[event.key]);
  else if (event.key === "f") toggleFullScreen();
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (document.fullscreenEnabled) document.querySelector(".stage").requestFullscreen();
}

export function startZoom() {
  on("shown", show);
  on("zoom", show);
  $("zoom-in").addEventListener("click", () => setZoom(state.zoom * STEP));
  $("zoom-out").addEventListener("click", () => setZoom(state.zoom / STEP));
  $("zoom-fit").addEventListener("click", () => setZoom(1));
  $("view").addEventListener("wheel", (event) => {
    if (event.shiftKey) return;
    event.preventDefault();
    setZoom(state.zoom * WHEEL_STEP ** -event.deltaY, [event.clientX, event.clientY]);
  }, { passive: false });
  $("view").addEventListener("pointerdown", pan);
  for (const kind of ["touchstart", "touchmove", "touchend"]) {
    $("view").addEventListener(kind, pinch, { passive: false });
  }
  $("view").addEventListener("click", (event) => {
    if (moved) event.stopPropagation();
    moved = false;
  }, { capture: true });
  $("frame").addEventListener("dblclick", (event) => {
    if (event.target !== $("frame") || state.hinting) return;
    setZoom(state.zoom > 1 ? 1 : QUICK, [event.clientX, event.clientY]);
  });
  $("full-screen").hidden = !document.fullscreenEnabled;
  $("full-screen").addEventListener("click", toggleFullScreen);
  addEventListener("fullscreenchange", () => {
    $("full-screen").setAttribute("aria-pressed", Boolean(document.fullscreenElement));
    tell("zoom");
  });
  addEventListener("keydown", pressed);
}
