/* The service worker: keeps the page for use without a network, and adds headers to it.

   The build fills FACTS in: the version, the page's policy, and the small files, which are kept at
   once. The large ones are kept when they are first used, since no browser uses them all. */

const FACTS = /* FACTS */ {};
const CACHE = `colourizer-${FACTS.version}`;
const HEADERS = {
  "Content-Security-Policy": FACTS.policy,
  // With these two, WebAssembly gets threads.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "X-Content-Type-Options": "nosniff",
};

async function install() {
  const cache = await caches.open(CACHE);
  await cache.addAll(FACTS.shell.map((name) => new Request(name, { cache: "no-cache" })));
  await self.skipWaiting();
}

async function activate() {
  for (const name of await caches.keys()) {
    if (name.startsWith("colourizer-") && name !== CACHE) await caches.delete(name);
  }
  await self.clients.claim();
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  let response = await cache.match(request, { ignoreSearch: true });
  if (!response) {
    response = await fetch(request.url, { cache: "no-cache" });
    if (response.ok) await cache.put(request, response.clone());
  }
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(self.registration.scope)) {
    event.respondWith(answer(event.request));
  }
});
