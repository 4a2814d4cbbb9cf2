/* The back end of app.py's page: its server, which a cookie that came with the page lets it ask.

   POST api/photos, body a file, X-Name its path -> a photo (editor/back_end.js); an error is
     {error}, with status 4xx or 5xx.
   GET api/photos/ID/{grey,coloured,confidence,download}?side=&vividness=&variant=&hints=
     hints: x,y,rrggbb; and so on.
   POST api/zip, body [{id, vividness, variant, hints}] -> the coloured files.
   POST api/keep and api/forget, body [id]. */

const KEEP_SECONDS = 300;
const held = new Set(); // the ids of photographs that the server holds for this page

/* What was answered, or an Error with the server's own words. */
async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw Object.assign(
      new Error("the program that shows this page does not answer; is it still running?"),
      { mayGoWell: true },
    );
  }
  if (answer.ok) return answer;
  let why = `the server answered ${answer.status}`;
  try {
    why = (await answer.json()).error || why;
  } catch {
    // no words of its own
  }
  const busy = answer.status === 503;
  throw Object.assign(new Error(why), {
    mayGoWell: answer.status === 408 || answer.status >= 500,
    waitSeconds: busy ? Number(answer.headers.get("Retry-After")) || 1 : undefined,
  });
}

const post = (address, content) =>
  ask(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
  });

function spell({ vividness, variant, hints }) {
  const listed = hints.map(({ x, y, colour }) => `${x},${y},${colour.slice(1)}`).join(";");
  return { vividness, variant, ...(listed && { hints: listed }) };
}

function address(id, what, wish, side) {
  const parameters = new URLSearchParams({ ...(side && { side }), ...spell(wish) });
  return `api/photos/${id}/${what}?${parameters}`;
}

/* The name that the server gives a file: it may have another suffix than the photograph. */
function nameOf(answer) {
  const said = /filename\*=UTF-8''([^;]+)/.exec(answer.headers.get("Content-Disposition") || "");
  return said ? decodeURIComponent(said[1]) : "coloured";
}

export const server = {
  atOnce: 2,
  takesHints: true,

  async add(file, path) {
    const answer = await ask("api/photos", {
      method: "POST",
      body: file,
      headers: { "Content-Type": "application/octet-stream", "X-Name": encodeURIComponent(path) },
    });
    const photo = await answer.json();
    held.add(photo.id);
    return photo;
  },

  async picture(id, what, wish, side) {
    const image = new Image();
    image.alt = "";
    image.src = address(id, what, wish, side);
    try {
      await image.decode();
    } catch {
      await ask(image.src); // throws the server's words
      throw new Error("the picture could not be shown");
    }
    return image;
  },

  async download(id, wish) {
    const answer = await ask(address(id, "download", wish));
    return { name: nameOf(answer), blob: await answer.blob() };
  },

  async zip(wanted) {
    const answer = await post(
      "api/zip",
      wanted.map(({ id, wish }) => ({ id, ...spell(wish) })),
    );
    const failed = Number(answer.headers.get("X-Failed"));
    return { name: nameOf(answer), blob: await answer.blob(), failed };
  },

  forget(ids) {
    ids.forEach((id) => held.delete(id));
    if (ids.length) post("api/forget", ids).catch(() => {}); // or the server does after a while
  },
};

setInterval(() => {
  if (held.size) post("api/keep", [...held]).catch(() => {});
}, KEEP_SECONDS * 1000);
addEventListener("pagehide", () => {
  if (!held.size) return;
  const ids = new Blob([JSON.stringify([...held])], { type: "application/json" });
  navigator.sendBeacon("api/forget", ids);
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
if (location.search) history.replaceState(null, "", "/"); // a cookie has the token now
