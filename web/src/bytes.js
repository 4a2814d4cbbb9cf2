/* Bytes: joined, of text, compressed and decompressed by the browser's own means. */

export const ascii = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));

export const startsWith = (bytes, text) =>
  [...text].every((c, n) => bytes[n] === c.charCodeAt(0));

export function join(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/* `format` is "gzip", or "deflate" with the header of zlib. */
export const compress = (bytes, format) => through(bytes, new CompressionStream(format));
export const decompress = (bytes, format) => through(bytes, new DecompressionStream(format));

async function through(bytes, transform) {
  const stream = new Blob([bytes]).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
