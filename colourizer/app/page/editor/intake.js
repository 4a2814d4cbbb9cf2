/* Where photographs come from: files that are chosen, dropped or pasted, folders, the camera. */

import { addCard } from "./cards.js";
import { colourWaiting } from "./colouring.js";
import { $ } from "./dom.js";
import { say } from "./messages.js";

const PHOTO = /\.(jpe?g|jpe|jfif|png|webp|tiff?|bmp|gif|avif|mpo|heic|heif|hif)$/i;
const SAMPLE = "sample.jpg"; // beside the page
const isPhoto = (name) => PHOTO.test(name) && !name.startsWith(".");

/* Take files onto the page: [file, path] of each. */
export function take(found) {
  const focused = $("drop").contains(document.activeElement); // what is hidden loses the focus
  if (!found.length) say("There is no photograph in there.");
  for (const [file, path] of found) addCard(file, path);
  if (focused) $("add").focus();
  colourWaiting();
}

/* Files, and those in folders with their paths; of a folder only what looks like a photograph. */
async function listDropped(transfer) {
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  async function walk(entry, path) {
    if (!entry) return;
    if (entry instanceof File) {
      found.push([entry, entry.name]);
    } else if (entry.isFile) {
      if (path && !isPhoto(entry.name)) return;
      found.push([await new Promise((done, fail) => entry.file(done, fail)), path + entry.name]);
    } else if (!entry.name.startsWith(".")) {
      const reader = entry.createReader();
      for (let part = null; part === null || part.length; ) {
        part = await new Promise((done, fail) => reader.readEntries(done, fail));
        for (const inner of part) await walk(inner, `${path}${entry.name}/`);
      }
    }
  }
  for (const entry of entries) await walk(entry, "");
  return found;
}

async function drop(event) {
  event.preventDefault();
  if ($("editor").open) $("editor").close();
  try {
    take(await listDropped(event.dataTransfer));
  } catch {
    say("That could not be read.");
  }
}

function paste(event) {
  const files = [...event.clipboardData.files];
  if (!files.length) return; // text
  event.preventDefault();
  if ($("editor").open) $("editor").close();
  take(files.map((file) => [file, file.name]));
}

async function takeSample() {
  try {
    const answer = await fetch(SAMPLE);
    if (!answer.ok) throw new Error();
    take([[new File([await answer.blob()], SAMPLE, { type: "image/jpeg" }), SAMPLE]]);
  } catch {
    say("The sample could not be read.");
  }
}

export function startIntake() {
  for (const id of ["choose", "add"]) {
    $(id).addEventListener("click", () => $("files").click());
  }
  $("choose-folder").addEventListener("click", () => $("folder").click());
  $("photograph").addEventListener("click", () => $("camera").click());
  for (const id of ["files", "camera"]) {
    $(id).addEventListener("change", ({ target }) => {
      take([...target.files].map((file) => [file, file.name]));
      target.value = "";
    });
  }
  $("folder").addEventListener("change", ({ target }) => {
    const photos = [...target.files].filter((file) => isPhoto(file.name));
    take(photos.map((file) => [file, file.webkitRelativePath || file.name]));
    target.value = "";
  });
  $("sample").addEventListener("click", takeSample);
  addEventListener("paste", paste);
  let depth = 0; // dragenter and dragleave come for every element that is passed
  const setDepth = (next) => {
    depth = next;
    document.body.classList.toggle("over", depth > 0);
  };
  addEventListener("dragenter", (event) => {
    event.preventDefault();
    setDepth(depth + 1);
  });
  addEventListener("dragleave", () => setDepth(depth - 1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    setDepth(0);
    drop(event);
  });
}
