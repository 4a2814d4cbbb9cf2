/* PNG: its size and metadata read; its metadata put into another PNG. */

import { ascii, compress, decompress, join, startsWith } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { swapsSides } from "./orientation.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10];
const TONE = ["iCCP", "sRGB", "gAMA", "cHRM", "cICP"]; // what its values mean
const XMP = "XML:com.adobe.xmp\0";
const KEPT = ["pHYs", "tEXt", "zTXt", "iTXt"];
const RAW = "Raw profile type "; // ImageMagick's texts that hold metadata
const RAW_EXIF = `${RAW}exif\0`;

const textOf = (bytes) => String.fromCharCode(...bytes);

function readChunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = textOf(bytes.subarray(at + 4, at + 8));
    chunks.push({ kind, body: bytes.subarray(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return chunks;
}

export const isPng = (bytes) => SIGNATURE.every((value, n) => bytes[n] === value);

/* Return what the first bytes of a PNG say: {width, height}. */
export function readPngSize(bytes) {
  const header = readChunks(bytes).find(({ kind }) => kind === "IHDR")?.body;
  const view = header && new DataView(header.buffer, header.byteOffset);
  return { width: view?.getUint32(0), height: view?.getUint32(4) };
}

/* Return a PNG's metadata: {exif, xmp, profile}, bytes or undefined; none of those damaged. */
export async function readPngMetadata(bytes) {
  const chunks = readChunks(bytes);
  const iccp = chunks.find(({ kind }) => kind === "iCCP")?.body;
  const xmp = chunks.find(isXmp)?.body;
  const exif = chunks.find(({ kind }) => kind === "eXIf");
  const rawExif = chunks.find(({ kind, body }) =>
    ["tEXt", "zTXt"].includes(kind) && startsWith(body, RAW_EXIF));
  const intact = (promise) => promise?.catch(() => undefined);
  return {
    exif: exif?.body ?? await intact(rawExif && readRaw(rawExif)),
    xmp: await intact(xmp && readText(xmp)),
    profile: await intact(iccp && decompress(iccp.subarray(iccp.indexOf(0) + 2), "deflate")),
  };
}

/* Return the text of an iTXt chunk: what follows keyword, compression, language and translation. */
async function readText(body) {
  const compressed = body.indexOf(0) + 1;
  const language = body.indexOf(0, compressed + 2);
  const text = body.subarray(body.indexOf(0, language + 1) + 1);
  return body[compressed] ? decompress(text, "deflate") : text;
}

/* Return EXIF of a text: after three lines hexadecimal digits, which begin with "Exif\0\0". */
async function readRaw({ kind, body }) {
  const content = body.subarray(RAW_EXIF.length);
  const bytes = kind === "zTXt" ? await decompress(content.subarray(1), "deflate") : content;
  const digits = new TextDecoder("latin1").decode(bytes).split("\n").slice(3).join("");
  return Uint8Array.from(digits.match(/../g).slice(6), (pair) => parseInt(pair, 16));
}

/* Return the bytes of a PNG that has a profile only. */
export async function pngOfProfile(profile) {
  const parts = [Uint8Array.from(SIGNATURE)];
  if (profile) {
    const name = ascii("ICC Profile\0\0");
    parts.push(chunk("iCCP", join([name, await compress(profile, "deflate")])));
  }
  return join(parts);
}

const isXmp = ({ kind, body }) =>
  kind === "iTXt" && textOf(body.subarray(0, XMP.length)) === XMP;

function chunk(kind, body) {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set([...kind].map((c) => c.charCodeAt(0)), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

/* Return the parts of a PNG with the metadata of another; arguments as for JPEG. */
export function withMetadataOfPng(coloured, original, keepProfile, { exif, xmp, orientation }) {
  const old = readChunks(original);
  const parts = [Uint8Array.from(SIGNATURE)];
  for (const { kind, body } of readChunks(coloured)) {
    if (![...TONE, ...KEPT, "eXIf"].includes(kind)) parts.push(chunk(kind, body));
    if (kind !== "IHDR") continue;
    for (const part of old) {
      const kept = KEPT.includes(part.kind) || (keepProfile && TONE.includes(part.kind));
      if (!kept || isXmp(part) || startsWith(part.body, RAW)) continue;
      const turns = part.kind === "pHYs" && swapsSides(orientation);
      parts.push(chunk(part.kind, turns ? exchangeSides(part.body) : part.body));
    }
    if (xmp) parts.push(chunk("iTXt", join([ascii(`${XMP}\0\0\0\0`), xmp])));
    parts.push(chunk("eXIf", exif));
  }
  return parts;
}

/* Exchange pixels per unit across and down. */
const exchangeSides = (body) =>
  join([body.subarray(4, 8), body.subarray(0, 4), body.subarray(8)]);
