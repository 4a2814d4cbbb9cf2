/* The back end: what colours the photographs. The editor uses the one that `start` was given.

   A back end is an object with these members. Errors are Errors whose message is a sentence for
   the user, lower case, without a full stop.

   atOnce       how many photographs it colours at the same time
   takesHints   whether a wish may hold hints

   add(file, path) -> Promise<photo>
     Read and predict a photograph. `file` is a File; `path` its name, with those of its folders.
     An error may have `mayGoWell`, true if it was no fault of the file, and `waitSeconds`, after
     which the editor tries again by itself.
   picture(id, what, wish, side) -> Promise<element>
     A picture of a photograph, an <img> or <canvas> that can be shown at once, with no side longer
     than `side` pixels. `what` is "grey"; "coloured", as `wish` says; or "confidence", dark where
     the network is unsure, to be multiplied with the photograph.
   download(id, wish) -> Promise<{name, blob}>
     The coloured photograph as a file, in its own size.
   zip([{id, wish}]) -> Promise<{name, blob, failed}>
     Several of them; `failed` is the number of those that could not be coloured.
   forget([id])
     Free what is held of photographs that are no longer on the page.

   A photo:  {id, name, width, height, view: [width, height], knows, vividness}
     width and height in pixels, upright; view: those of its largest picture; knows: whether the
     network knows likelihoods, so that vividness, variants and confidence have a meaning;
     vividness: the default.
   A wish:   {vividness, variant, hints: [{x, y, colour}]}
     vividness in [0, 1]; variant 0, 1, ...; x and y in pixels of the photograph, upright; colour
     "#rrggbb". */

export let backEnd = null;

/* Use a back end from now on. */
export function setBackEnd(given) {
  backEnd = given;
}
