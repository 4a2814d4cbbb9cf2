// A folder of photographs in colour, in Node: onnxruntime-node and sharp are enough.
//
// npm install && node colour_folder.js PHOTOS COLOURED [VIVIDNESS]

import { mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as ort from "onnxruntime-node";
import sharp from "sharp";

const MODEL = fileURLToPath(new URL("../../checkpoints/colourizer.onnx", import.meta.url));
const SAVE_OPTIONS = {
  jpeg: { quality: 95 },
  webp: { quality: 95 },
  tiff: { compression: "deflate" },
};
const SUFFIXES = new Set([".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"]);
const WORKING_PIXELS = 256 * 256; // these three stand in the model's metadata, too,
const MULTIPLE = 32; // which onnxruntime-node does not show
const DEFAULT_VIVIDNESS = 0.75;

// sRGB (IEC 61966-2-1), of all 8-bit values, and the other way of 65536 steps of linear light.
const LINEAR = Float32Array.from({ length: 256 }, (_, n) => {
  const value = n / 255;
  return value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92;
});
const SRGB = Uint8Array.from({ length: 65536 }, (_, n) => {
  const light = n / 65535;
  return Math.round(255 * (light > 0.0031308 ? 1.055 * light ** (1 / 2.4) - 0.055 : light * 12.92));
});
// CIE's f of each grey: its lightness is 116 f - 16.
const F = LINEAR.map((t) => (t > (6 / 29) ** 3 ? Math.cbrt(t) : (t * (29 / 6) ** 2) / 3 + 4 / 29));
const fromF = (f) => (f > 6 / 29 ? f ** 3 : (f - 4 / 29) * 3 * (6 / 29) ** 2);

// Writes linear sRGB of f, a and b into `linear`; returns whether sRGB has that colour.
function toLinear(f, a, b, linear) {
  const x = 0.95047 * fromF(f + a / 500);
  const y = fromF(f);
  const z = 1.08883 * fromF(f - b / 200);
  linear[0] = 3.24048134 * x - 1.53715152 * y - 0.49853633 * z;
  linear[1] = -0.96925495 * x + 1.87599 * y + 0.04155593 * z;
  linear[2] = 0.05564664 * x - 0.20404134 * y + 1.05731107 * z;
  return linear.every((value) => value > -1e-4 && value < 1 + 1e-4);
}

// Returns the greys of the same lightness as interleaved 8-bit pixels of 1 or 3 channels.
function toGrey(pixels, channels) {
  if (channels === 1) return pixels;
  const grey = new Uint8Array(pixels.length / channels);
  for (let n = 0; n < grey.length; n++) {
    const [red, green, blue] = [0, 1, 2].map((c) => LINEAR[pixels[channels * n + c]]);
    grey[n] = SRGB[Math.round(65535 * (0.212671 * red + 0.71516 * green + 0.072169 * blue))];
  }
  return grey;
}

// Returns the width and height that the network gets.
function workingSize(width, height) {
  const aspect = Math.min(4, Math.max(0.25, height / width));
  const rows = Math.sqrt(WORKING_PIXELS * aspect);
  return [rows / aspect, rows].map((side) => Math.max(1, Math.round(side / MULTIPLE)) * MULTIPLE);
}

// Returns a plane of h x w float32 enlarged to width x height by bicubic interpolation.
function enlarge(plane, w, h, width, height) {
  const A = -0.75;
  const near = (t) => ((A + 2) * t - (A + 3)) * t * t + 1;
  const far = (t) => ((A * t - 5 * A) * t + 8 * A) * t - 4 * A;
  const taps = (low, high) =>
    Array.from({ length: high }, (_, n) => {
      const at = ((n + 0.5) * low) / high - 0.5;
      const first = Math.floor(at);
      const t = at - first;
      return {
        of: [-1, 0, 1, 2].map((k) => Math.min(low - 1, Math.max(0, first + k))),
        weights: [far(1 + t), near(t), near(1 - t), far(2 - t)],
      };
    });
  const wide = new Float32Array(h * width);
  taps(w, width).forEach(({ of, weights }, x) => {
    for (let y = 0; y < h; y++) {
      for (let k = 0; k < 4; k++) wide[y * width + x] += weights[k] * plane[y * w + of[k]];
    }
  });
  const large = new Float32Array(height * width);
  taps(h, height).forEach(({ of, weights }, y) => {
    for (let k = 0; k < 4; k++) {
      const from = of[k] * width;
      for (let x = 0; x < width; x++) large[y * width + x] += weights[k] * wide[from + x];
    }
  });
  return large;
}

// Returns interleaved sRGB of greys and ab; lightness is kept, chroma outside sRGB reduced.
function toRgb(grey, a, b) {
  const rgb = new Uint8Array(3 * grey.length);
  const linear = new Float32Array(3);
  for (let n = 0; n < grey.length; n++) {
    const f = F[grey[n]];
    if (!toLinear(f, a[n], b[n], linear)) {
      let [low, high] = [0, 1]; // bisection: the largest share of chroma that sRGB has
      for (let step = 0; step < 8; step++) {
        const share = (low + high) / 2;
        if (toLinear(f, a[n] * share, b[n] * share, linear)) low = share;
        else high = share;
      }
      toLinear(f, a[n] * low, b[n] * low, linear);
    }
    for (let c = 0; c < 3; c++) {
      rgb[3 * n + c] = SRGB[Math.round(65535 * Math.min(1, Math.max(0, linear[c])))];
    }
  }
  return rgb;
}

// Colours one file: upright, in its own size and format, with EXIF, XMP, profile and density.
async function colourFile(source, target, session, vividness) {
  const { format, icc, hasAlpha } = await sharp(source).metadata();
  // Pixels with an embedded profile are converted to sRGB.
  const upright = () => sharp(source).autoOrient().toColourspace("srgb");
  const { data, info } = await upright()
    .removeAlpha()
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const grey = toGrey(data, info.channels);
  const [w, h] = workingSize(width, height);
  const small = await sharp(grey, { raw: { width, height, channels: 1 } })
    .resize(w, h, { kernel: "linear", fit: "fill" })
    .toColourspace("b-w")
    .raw()
    .toBuffer();
  const { ab } = await session.run({
    grey: new ort.Tensor("uint8", new Uint8Array(small), [1, h, w]),
    vividness: new ort.Tensor("float32", [vividness], []),
    variant: new ort.Tensor("int32", [0], []), // 1, 2, ...: other plausible colourings
  });
  const [, , rows, columns] = ab.dims;
  const [a, b] = [0, 1].map((n) => {
    const plane = ab.data.subarray(n * rows * columns, (n + 1) * rows * columns);
    return enlarge(plane, columns, rows, width, height);
  });
  await mkdir(path.dirname(target), { recursive: true });
  // The colours are laid over the photograph itself, whose transparency and metadata stay.
  const colours = { input: toRgb(grey, a, b), raw: { width, height, channels: 3 }, blend: "in" };
  const coloured = upright().composite([colours]).keepExif().keepXmp();
  if (!hasAlpha) coloured.removeAlpha();
  if (icc) coloured.withIccProfile("srgb");
  await coloured.toFormat(format, SAVE_OPTIONS[format]).toFile(target);
}

const [photos, out, vividness = DEFAULT_VIVIDNESS] = process.argv.slice(2);
if (!photos || !out) {
  console.error("usage: node colour_folder.js PHOTOS COLOURED [VIVIDNESS]");
  process.exit(2);
}
const session = await ort.InferenceSession.create(MODEL);
const names = await readdir(photos, { recursive: true });
for (const name of names.filter((n) => SUFFIXES.has(path.extname(n).toLowerCase())).sort()) {
  const target = path.join(out, name);
  try {
    await colourFile(path.join(photos, name), target, session, Number(vividness));
    console.log(target);
  } catch (error) {
    console.error(`error: ${path.join(photos, name)}: ${error.message}`);
    process.exitCode = 1;
  }
}
