/* The back end of the page without a server: a worker, which is asked by messages. */

import { uprightXmp } from "./upright_xmp.js";

let asked = 0;
const waiting = new Map(); // promises' ends by the number of their message
let post = null; // sends a message; messages before there is a worker wait
const early = [];

function ask(method, ...args) {
  return new Promise((done, fail) => {
    const n = ++asked;
    waiting.set(n, { done, fail });
    if (post) post({ n, method, args });
    else early.push({ n, method, args });
  });
}

/* Start the worker, which loads the network. */
export function startWorker() {
  const thread = new Worker("worker.js", { type: "module" });
  thread.addEventListener("message", ({ data: { n, result, error, port, ...asks } }) => {
    if (port) {
      port.postMessage(uprightXmp(asks.xmp, asks.orientation, asks.size));
      return;
    }
    const { done, fail } = waiting.get(n);
    waiting.delete(n);
    if (error) fail(Object.assign(new Error(error.message), { mayGoWell: error.mayGoWell }));
    else done(result);
  });
  thread.addEventListener("error", (event) => {
    event.preventDefault();
    const why = new Error(`this browser cannot run the network (${event.message ?? "no worker"})`);
    for (const { fail } of waiting.values()) fail(why);
    waiting.clear();
  });
  post = (message) => thread.postMessage(message);
  early.splice(0).forEach(post);
}

/* Return an element that shows what the worker drew.

   The large picture, which changes while a slider moves, is a bitmap; small ones, of which there
   may be hundreds, are JPEGs, which take a twentieth of the memory. */
async function elementOf(drawn) {
  if (drawn instanceof ImageBitmap) {
    const canvas = document.createElement("canvas");
    canvas.width = drawn.width;
    canvas.height = drawn.height;
    canvas.getContext("bitmaprenderer").transferFromImageBitmap(drawn);
    return canvas;
  }
  const image = new Image();
  image.alt = "";
  image.src = URL.createObjectURL(drawn);
  try {
    await image.decode();
  } finally {
    URL.revokeObjectURL(image.src);
  }
  return image;
}

export const worker = {
  atOnce: 1,
  takesHints: true,
  add: (file, path) => ask("add", file, path),
  addReference: (file) => ask("addReference", file),
  match: (id, wish) => ask("match", id, wish),
  picture: async (id, what, wish, side) => elementOf(await ask("picture", id, what, wish, side)),
  formats: ["jpeg", "png"],
  keepsLuma: false,
  download: (id, wish, options) => ask("download", id, wish, options),
  zip: (wanted, options) => ask("zip", wanted, options),
  forget: (ids) => {
    if (ids.length) ask("forget", ids);
  },
};
