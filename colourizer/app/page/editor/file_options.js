/* What is downloaded: the format, a grey JPEG's own data, or the photograph before and after. */

import { backEnd } from "./back_end.js";
import { $, element } from "./dom.js";
import { state } from "./state.js";

const NAMES = { jpeg: "JPEG", png: "PNG", webp: "WebP", tiff: "TIFF", avif: "AVIF" };

/* The options of back_end.js for a download. */
export const fileOptions = () => ({
  format: $("format").value || null,
  keepLuma: $("keep-luma").checked,
});

function toggle(event) {
  const menu = $("file-options");
  if (menu.matches(":popover-open")) return; // a click outside closes it
  // While a dialog is open, all that is outside of it cannot be used.
  ($("editor").open ? $("editor") : document.body).append(menu);
  const box = event.currentTarget.getBoundingClientRect();
  menu.style.top = `${box.bottom + 8}px`;
  menu.style.right = `${Math.max(8, document.documentElement.clientWidth - box.right)}px`;
  $("pair").hidden = !state.shown;
  menu.showPopover();
  $("format").focus();
}

export function startFileOptions() {
  $("format").append(...backEnd.formats.map((name) => element("option", { value: name },
    NAMES[name])));
  $("keep-luma").closest("label").hidden = !backEnd.keepsLuma;
  for (const button of document.querySelectorAll(".file-options")) {
    button.addEventListener("click", toggle);
  }
}
