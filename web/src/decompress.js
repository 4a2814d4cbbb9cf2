/* Compressed bytes -> bytes, by the browser's own means. */

/* Return what bytes hold; `format` is "gzip", or "deflate" with the header of zlib. */
export async function decompress(bytes, format) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
