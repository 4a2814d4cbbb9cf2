/* The service worker: registered, and waited for if this page needs it for threads. */

const PATIENCE_SECONDS = 5;

/* Register the service worker.

   Threads of WebAssembly need two headers that few static hosts send; the service worker adds them
   to what it hands out, so the first visit loads the page a second time, if `mayReload()`. */
export async function keepOffline(mayReload) {
  if (!navigator.serviceWorker) return; // no https
  try {
    await navigator.serviceWorker.register("service_worker.js");
  } catch {
    return; // private windows of some browsers
  }
  if (globalThis.crossOriginIsolated || navigator.serviceWorker.controller) return;
  const controlled = new Promise((done) => {
    navigator.serviceWorker.addEventListener("controllerchange", () => done(true), { once: true });
    setTimeout(() => done(false), PATIENCE_SECONDS * 1000);
  });
  if ((await controlled) && mayReload()) {
    location.reload();
    await new Promise(() => {}); // the page is about to go
  }
}
