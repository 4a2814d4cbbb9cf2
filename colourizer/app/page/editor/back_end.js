/* The back end: what colours the photographs. The editor uses the one that `start` was given.

   A back end is an object with these members. Errors are Errors whose message is a sentence for
   the user, lower case, without a full stop.

   atOnce       how many photographs it colours at the same time
   takesHints   whether a wish may hold hints
   formats      what `download` can write, of "jpeg", "png", "webp", "tiff", "avif"
   keepsLuma    whether `download` can keep a grey JPEG's data

   add(file, path, onProgress) -> Promise<photo>
     Read and predict a photograph. `file` is a File; `path` its name, with those of its folders.
     `onProgress` is called with the share that has been uploaded, if that is done.
     An error may have `mayGoWell`, true if it was no fault of the file, and `waitSeconds`, after
     which the editor tries again by itself.
   picture(id, what, wish, side) -> Promise<element>
     A picture of a photograph, an <img> or <canvas> that can be shown at once, with no side longer
     than `side` pixels. `what` is "before", as the photograph is; "coloured", as `wish` says; or "confidence", dark where
     the network is unsure, to be multiplied with the photograph.
   addReference(file) -> Promise<{id}>
     Read a photograph in colour, to be named in wishes. Left out where wishes hold no reference.
   match(id, wish) -> Promise<{share, hardly}>
     The share in [0, 1] of a photograph that the wish's reference matches, and whether that is so
     little that the reference is probably of something else. Beside `addReference`.
   setAlbum([id]) -> Promise<[id]>
     From now on, what several of these photographs show gets the same colours in all of them; with
     none of them, each is for itself. Resolves to those of which that changes the colours. Left
     out where it cannot be done.
   carryHint(id, hint) -> Promise<[{id, x, y, colour}]>
     The hint at the same place of others of the album that show it.
   download(id, wish, {format, keepLuma}) -> Promise<{name, blob}>
     The coloured photograph as a file, in its own size; `format` null is its own.
   zip([{id, wish}], {format, keepLuma}) -> Promise<{name, blob, failed}>
     Several of them; `failed` is the number of those that could not be coloured.
   forget([id])
     Free what is held of photographs and references that are no longer on the page.

   A photo:  {id, name, width, height, view: [width, height], knows, vividness}
     width and height in pixels, upright; view: those of its largest picture; knows: whether the
     network knows likelihoods, so that vividness, variants and confidence have a meaning;
     vividness: the default.
   A wish:   {vividness, warmth, saturation, variant, hints: [{x, y, colour}], reference}
     vividness in [0, 1], warmth in [-1, 1], saturation in [0, 2]; variant 0, 1, ...; x and y in
     pixels of the photograph, upright; colour "#rrggbb"; reference {id, name}, or null. */

export let backEnd = null;

/* Use a back end from now on. */
export function setBackEnd(given) {
  backEnd = given;
}
