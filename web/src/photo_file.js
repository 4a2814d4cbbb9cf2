/* A photograph's file: what it is, its pixels, and the coloured file that is made like it. */

import { uprightXmp } from "./ask_page.js";
import { readOrientation, updateExif } from "./exif.js";
import {
  MAX_EXIF, isJpeg, jpegOfProfile, readJpegMetadata, readJpegSize, withMetadataOfJpeg,
} from "./jpeg.js";
import { turnUpright } from "./orientation.js";
import { isPng, pngOfProfile, readPngMetadata, readPngSize, withMetadataOfPng } from "./png.js";
import { isWebp, readWebpMetadata, readWebpSize } from "./webp.js";

const HEAD_BYTES = 1 << 20; // in which a file's size stands, and all metadata of a JPEG
const MAX_MEGAPIXELS = 64;
const MAX_SIDE = 16384; // of a canvas, in all browsers
const STRIP_PIXELS = 1 << 20; // that are read at a time
const SOFTWARE = "colourized with Image Colourizer";
const FORMATS = {
  jpeg: {
    isIt: isJpeg,
    readSize: readJpegSize,
    readMetadata: readJpegMetadata,
    type: "image/jpeg",
    quality: 0.96,
    suffixes: /\.(jpe?g|jpe|jfif)$/i,
    maxExif: MAX_EXIF,
    ofProfile: jpegOfProfile,
    withMetadataOf: withMetadataOfJpeg,
  },
  png: {
    isIt: isPng,
    readSize: readPngSize,
    readMetadata: readPngMetadata,
    type: "image/png",
    suffixes: /\.png$/i,
    maxExif: Infinity,
    ofProfile: pngOfProfile,
    withMetadataOf: withMetadataOfPng,
  },
  webp: { isIt: isWebp, readSize: readWebpSize, readMetadata: readWebpMetadata }, // only read
};
// The format that is asked for, else the photograph's own if it can be written, else PNG.
const writtenFormat = (head, format) =>
  format ?? (FORMATS[head.format]?.type ? head.format : "png");
const MAY_MOVE = { "\x89PNG": "image/png", RIFF: "image/webp", GIF8: "image/gif" };
const TIFF = /^(II\*\0|MM\0\*)/;

/* Return what a file says of itself.

   {format: of FORMATS, or null; keepsProfile: whether its values are taken as they are; orientation
   of the stored picture; turn: the orientation that it has when the browser has decoded it; hidden:
   the place of EXIF that the browser must not see, or null} */
export async function inspect(file) {
  let bytes = await read(file.slice(0, HEAD_BYTES));
  await refuseAnimation(file, MAY_MOVE[String.fromCharCode(...bytes.subarray(0, 4))]);
  const format = Object.keys(FORMATS).find((name) => FORMATS[name].isIt(bytes)) ?? null;
  if (!format) return { format, keepsProfile: false, orientation: 1, turn: 1, hidden: null };
  const { readSize, readMetadata } = FORMATS[format];
  const { width, height } = readSize(bytes);
  refuseIfTooLarge(width, height);
  if (format !== "jpeg") bytes = await read(file); // metadata may follow the pixels
  const { exif, xmp, profile } = await readMetadata(bytes);
  const space = profile && String.fromCharCode(...profile.subarray(16, 20));
  const orientation = readOrientation(exif, xmp);
  const isInExif = readOrientation(exif) > 1;
  // All browsers turn JPEGs by their EXIF; some turn PNG and WebP, too.
  const byBrowser = format === "jpeg" && isInExif;
  return {
    format,
    // Values with a profile of red, green and blue stay as they are, and keep it. Others are
    // converted to sRGB: a profile of greys does not describe a coloured photograph.
    keepsProfile: !space || space === "RGB ",
    orientation,
    turn: byBrowser ? 1 : orientation,
    hidden: isInExif && !byBrowser && exif.buffer === bytes.buffer ? exif.byteOffset : null,
  };
}

async function read(blob) {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch {
    throw new Error("cannot be read any more; add it again");
  }
}

/* Refuse an animation, of whose pictures one would be coloured; older browsers do not tell. */
async function refuseAnimation(file, type) {
  if (!type || !self.ImageDecoder) return;
  const decoder = new ImageDecoder({ data: await read(file), type });
  const pictures = await Promise.all([decoder.tracks.ready, decoder.completed]).then(
    () => decoder.tracks.selectedTrack.frameCount,
    () => 1, // is no such picture, which is said when it is decoded
  );
  decoder.close();
  if (pictures > 1) throw new Error("is an animation; only single photographs are coloured");
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
export async function decode(file, { keepsProfile, turn, hidden }) {
  const shown = hidden === null ? file
    : new Blob([file.slice(0, hidden), new Uint8Array(4), file.slice(hidden + 4)]);
  let bitmap;
  try {
    bitmap = await createImageBitmap(shown, {
      imageOrientation: "from-image",
      colorSpaceConversion: keepsProfile ? "none" : "default",
    });
  } catch {
    const start = new TextDecoder().decode(await read(file.slice(0, 4)));
    if (TIFF.test(start)) throw new Error("browsers read no TIFF; save it as PNG, or use app.py");
    throw new Error("not an image that this browser reads");
  }
  try {
    refuseIfTooLarge(bitmap.width, bitmap.height);
  } catch (error) {
    bitmap.close();
    throw error;
  }
  return turn === 1 ? bitmap : turnUpright(bitmap, turn);
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
  const { orientation } = head;
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
