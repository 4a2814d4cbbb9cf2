/* A photograph's file: what it is, its pixels, and the coloured file that is made like it. */

import { uprightXmp } from "./ask_page.js";
import { readOrientation, updateExif } from "./exif.js";
import {
  MAX_EXIF, isJpeg, jpegOfProfile, readJpegHead, readJpegMetadata, withMetadataOfJpeg,
} from "./jpeg.js";
import { isPng, pngOfProfile, readPngHead, readPngMetadata, withMetadataOfPng } from "./png.js";

const HEAD_BYTES = 1 << 20; // that are searched for size and profile
const MAX_MEGAPIXELS = 64;
const MAX_SIDE = 16384; // of a canvas, in all browsers
const STRIP_PIXELS = 1 << 20; // that are read at a time
const SOFTWARE = "colourized with Image Colourizer";
const FORMATS = {
  jpeg: {
    type: "image/jpeg",
    quality: 0.96,
    suffixes: /\.(jpe?g|jpe|jfif)$/i,
    maxExif: MAX_EXIF,
    readMetadata: readJpegMetadata,
    ofProfile: jpegOfProfile,
    withMetadataOf: withMetadataOfJpeg,
  },
  png: {
    type: "image/png",
    suffixes: /\.png$/i,
    maxExif: Infinity,
    readMetadata: readPngMetadata,
    ofProfile: pngOfProfile,
    withMetadataOf: withMetadataOfPng,
  },
};
// The format that is asked for, else the photograph's own, else PNG.
const writtenFormat = (head, format) => format ?? head.format ?? "png";
const TIFF = /^(II\*\0|MM\0\*)/;

/* Return what the first bytes of a file say: {format, width, height, keepsProfile}. */
export async function inspect(file) {
  const bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const format = isJpeg(bytes) ? "jpeg" : isPng(bytes) ? "png" : null;
  const head = format === "jpeg" ? readJpegHead(bytes) : format ? await readPngHead(bytes) : {};
  refuseIfTooLarge(head.width, head.height);
  const space = head.profile && String.fromCharCode(...head.profile.subarray(16, 20));
  // Values with a profile of red, green and blue stay as they are, and keep it. Others are
  // converted to sRGB: a profile of greys does not describe a coloured photograph.
  return { format, keepsProfile: !space || space === "RGB " };
}

function refuseIfTooLarge(width, height) {
  if (!width || !height) return;
  const megapixels = (width * height) / 1e6;
  if (megapixels > MAX_MEGAPIXELS || Math.max(width, height) > MAX_SIDE) {
    throw new Error(`has ${width} \u00d7 ${height} pixels; a browser's tab has room for`
      + ` ${MAX_MEGAPIXELS} megapixels and sides of ${MAX_SIDE}`);
  }
}

/* Return a file's pixels as an ImageBitmap, upright.

   Throws an Error in words, if it is no picture that this browser reads. */
export async function decode(file, { keepsProfile }) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: keepsProfile ? "none" : "default",
    });
  } catch {
    const start = await file.slice(0, 4).text().catch(() => null);
    if (start === null) throw new Error("cannot be read any more; add it again");
    if (TIFF.test(start)) throw new Error("browsers read no TIFF; save it as PNG, or use app.py");
    throw new Error("not an image that this browser reads");
  }
  try {
    refuseIfTooLarge(bitmap.width, bitmap.height);
  } catch (error) {
    bitmap.close();
    throw error;
  }
  return bitmap;
}

/* Yield a bitmap's pixels, {y, rows, data}, strip by strip; rows are multiples of `multiple`. */
export function* strips(bitmap, multiple = 1) {
  const { width, height } = bitmap;
  const step = Math.max(1, Math.floor(STRIP_PIXELS / width / multiple)) * multiple;
  const canvas = new OffscreenCanvas(width, Math.min(step, height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let y = 0; y < height; y += step) {
    const rows = Math.min(step, height - y);
    context.fillStyle = "#fff"; // behind what is transparent
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, y, width, rows, 0, 0, width, rows);
    yield { y, rows, data: context.getImageData(0, 0, width, rows).data };
  }
}

/* Colour a photograph in its own size, and return the file as a Blob.

   head: of `inspect`. format: one of FORMATS, or undefined for its own.
   colour(data, y, rows): changes the pixels of a strip, four bytes each. */
export async function makeColoured(file, head, format, colour) {
  const bitmap = await decode(file, head);
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("there is not enough memory for it in this tab");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const step = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let y = 0; y < height; y += step) {
    const rows = Math.min(step, height - y);
    const pixels = context.getImageData(0, y, width, rows);
    colour(pixels.data, y, rows);
    context.putImageData(pixels, 0, y);
  }
  const written = writtenFormat(head, format);
  const { type, quality, maxExif, ofProfile, withMetadataOf } = FORMATS[written];
  const encoded = await canvas.convertToBlob({ type, quality });
  canvas.width = canvas.height = 1; // its memory, now
  if (!head.format) return encoded;
  const coloured = new Uint8Array(await encoded.arrayBuffer());
  let original = new Uint8Array(await file.arrayBuffer());
  const metadata = await FORMATS[head.format].readMetadata(original);
  const orientation = readOrientation(metadata.exif);
  const exifOf = (old) => updateExif(old, orientation, [height, width], SOFTWARE);
  let exif = exifOf(metadata.exif);
  if (exif.length > maxExif) exif = exifOf(undefined);
  const xmp = metadata.xmp && await uprightXmp(metadata.xmp, orientation, [height, width]);
  if (written !== head.format) original = await ofProfile(metadata.profile);
  const parts = withMetadataOf(coloured, original, head.keepsProfile, { exif, xmp, orientation });
  return new Blob(parts, { type });
}

/* Return the name of the coloured file. */
export function colouredName(name, head, format) {
  const written = writtenFormat(head, format);
  if (FORMATS[written].suffixes.test(name)) return name;
  return `${name.replace(/\.[^./]*$/, "")}.${written === "jpeg" ? "jpg" : "png"}`;
}
