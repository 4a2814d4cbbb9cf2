/* The worker: answers the page's messages, pictures before photographs that are yet to be coloured.

   A message is {n, method, args}; its answer {n, result} or {n, error: {message, mayGoWell}}. */

import * as photographs from "./photographs.js";

const queue = [];
let busy = false;

async function work() {
  if (busy) return;
  busy = true;
  while (queue.length) {
    const first = queue.findIndex(({ method }) => method !== "add");
    const { n, method, args } = queue.splice(Math.max(0, first), 1)[0];
    try {
      const result = await photographs[method](...args);
      self.postMessage({ n, result }, result instanceof ImageBitmap ? [result] : []);
    } catch (error) {
      const { message, mayGoWell } = error;
      self.postMessage({ n, error: { message, mayGoWell } });
    }
    await new Promise((next) => setTimeout(next)); // messages that came meanwhile
  }
  busy = false;
}

self.addEventListener("message", ({ data }) => {
  queue.push(data);
  work();
});
photographs.prepare();
