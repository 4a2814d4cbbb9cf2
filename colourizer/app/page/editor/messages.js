/* Messages to the user, which disappear after a while. */

import { $ } from "./dom.js";

const SHOWN_SECONDS = 8;
let timer = 0;

export function say(text) {
  // While a dialog is open, all that is outside of it lies behind it and is not read out. In a bar
  // it covers nothing.
  ($("editor").open ? $("editor") : document).querySelector(".bar").append($("say"));
  $("say").textContent = text;
  clearTimeout(timer);
  if (text) timer = setTimeout(() => say(""), SHOWN_SECONDS * 1000);
}
