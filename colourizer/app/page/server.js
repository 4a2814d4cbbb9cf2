/* The back end of app.py's page: its server, which a cookie that came with the page lets it ask.

   POST api/photos, body a file, X-Name its path -> a photo (editor/back_end.js); an error is
     {error}, with status 4xx or 5xx.
   GET api/photos/ID/{before,coloured,confidence}?side= and settings -> a picture
     settings: vividness, warmth, saturation, variant, hints (x,y,rrggbb; and so on), reference,
     album.
   GET api/photos/ID/match?reference= and settings -> {share, hardly}, as of editor/back_end.js
   GET api/photos/ID/download?format=&keep_luma= and settings -> the coloured file
   POST api/zip?format=&keep_luma=, body [{id, and settings}] -> the coloured files
   POST api/references, body a file -> {id}
   POST api/albums, body [id] -> {id, changed: [id]}
   GET api/photos/ID/carried?album=&hints= -> [{id, x, y, colour}]
   POST api/keep and api/forget, body [id]; of photographs, references and albums. */

const KEEP_SECONDS = 300;
const LATE_SECONDS = 30; // a picture that was asked for earlier is here or not wanted any more
const held = new Set(); // the ids of what the server holds for this page
let album = null; // the id of that one in which colours are shared

const noAnswer = () =>
  Object.assign(
    new Error("the program that shows this page does not answer; is it still running?"),
    { mayGoWell: true },
  );

/* What was answered, or an Error with the server's own words. */
async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw noAnswer();
  }
  return checked(answer);
}

async function checked(answer) {
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

/* Upload a file, as `ask`, and tell `onProgress` the share that is done: fetch cannot. */
async function upload(address, file, name, onProgress) {
  const answer = await new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.responseType = "blob";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-Name", encodeURIComponent(name));
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.addEventListener("load", () => {
      const wait = request.getResponseHeader("Retry-After");
      const headers = wait ? { "Retry-After": wait } : {};
      done(new Response(request.response, { status: request.status, headers }));
    });
    request.addEventListener("error", () => fail(noAnswer()));
    request.send(file);
  });
  const content = await (await checked(answer)).json();
  held.add(content.id);
  return content;
}

function spell({ hints, reference, ...settings }) {
  const listed = hints.map(({ x, y, colour }) => `${x},${y},${colour.slice(1)}`).join(";");
  return {
    ...settings,
    ...(listed && { hints: listed }),
    ...(reference && { reference: reference.id }),
    ...(album && { album }),
  };
}

const spellFile = ({ format, keepLuma }) =>
  new URLSearchParams({ ...(format && { format }), keep_luma: Number(keepLuma) });

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
  formats: ["jpeg", "png", "webp", "tiff", "avif"],
  keepsLuma: true,

  add: (file, path, onProgress) => upload("api/photos", file, path, onProgress),

  addReference: (file) => upload("api/references", file, file.name, () => {}),

  match: async (id, wish) => (await ask(address(id, "match", wish))).json(),

  async setAlbum(ids) {
    const made = ids.length ? await (await post("api/albums", ids)).json() : { changed: [] };
    const before = album;
    if (before) setTimeout(() => server.forget([before]), LATE_SECONDS * 1000);
    album = made.id ?? null;
    if (album) held.add(album);
    return made.changed;
  },

  async carryHint(id, hint) {
    return (await ask(address(id, "carried", { hints: [hint] }))).json();
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

  async download(id, wish, options) {
    const answer = await ask(`${address(id, "download", wish)}&${spellFile(options)}`);
    return { name: nameOf(answer), blob: await answer.blob() };
  },

  async zip(wanted, options) {
    const answer = await post(
      `api/zip?${spellFile(options)}`,
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
