/* Colours: sRGB and CIE Lab, and a photograph's own lightness joined with predicted chroma. */

// sRGB (IEC 61966-2-1): linear light of all 8-bit values, and 8-bit values of 65536 steps of light.
const LINEAR = Float64Array.from({ length: 256 }, (_, n) => {
  const value = n / 255;
  return value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92;
});
const SRGB = Uint8Array.from({ length: 65536 }, (_, n) => {
  const light = n / 65535;
  return Math.round(255 * (light > 0.0031308 ? 1.055 * light ** (1 / 2.4) - 0.055 : light * 12.92));
});
const WHITE = [0.95047, 1, 1.08883]; // D65, 2 degrees
const LUMINANCE = [0.212671, 0.71516, 0.072169];
const DELTA = 6 / 29;
// CIE's f of each grey: its lightness is 116 f - 16.
const toF = (t) => (t > DELTA ** 3 ? Math.cbrt(t) : t / (3 * DELTA * DELTA) + 4 / 29);
const F = LINEAR.map(toF);
const STEPS = 8; // of the search for the largest share of chroma that sRGB has

/* Lightness in [0, 100] of all greys. */
export const LIGHTNESS = F.map((f) => 116 * f - 16);

/* Return the greys of the same lightness as pixels of red, green, blue and alpha. */
export function toGrey(rgba) {
  const grey = new Uint8Array(rgba.length / 4);
  for (let n = 0, at = 0; n < grey.length; n++, at += 4) {
    const red = rgba[at], green = rgba[at + 1], blue = rgba[at + 2];
    if (red === green && green === blue) {
      grey[n] = red;
      continue;
    }
    const light = LUMINANCE[0] * LINEAR[red] + LUMINANCE[1] * LINEAR[green]
      + LUMINANCE[2] * LINEAR[blue];
    grey[n] = SRGB[(light * 65535 + 0.5) | 0];
  }
  return grey;
}

/* Return the chroma [a, b] of a colour "#rrggbb". */
export const chromaOf = (colour) =>
  toChroma(...[1, 3, 5].map((n) => LINEAR[parseInt(colour.slice(n, n + 2), 16)]));

/* Return whether any of some pixels, of four bytes each, is not grey. */
export const hasColours = (rgba) =>
  rgba.some((value, n) => n % 4 > 0 && n % 4 < 3 && value !== rgba[n - 1]);

/* Return the chroma {a, b} of pixels of four bytes. */
export function chromaOfRgb(rgba) {
  const pixels = Array.from({ length: rgba.length / 4 }, (_, n) =>
    toChroma(...Array.from(rgba.subarray(4 * n, 4 * n + 3), (value) => LINEAR[value])));
  return { a: pixels.map(([a]) => a), b: pixels.map(([, b]) => b) };
}

function toChroma(red, green, blue) {
  const x = toF((0.412453 * red + 0.35758 * green + 0.180423 * blue) / WHITE[0]);
  const y = toF(LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue);
  const z = toF((0.019334 * red + 0.119193 * green + 0.950227 * blue) / WHITE[2]);
  return [500 * (x - y), 200 * (y - z)];
}

/* The four pixels, and their weights, that each place of `high` takes from `low` in bicubic
   interpolation, as PyTorch defines it: A = -0.75, centres aligned, edges repeated. */
function cubicTaps(low, high) {
  const A = -0.75;
  const near = (t) => ((A + 2) * t - (A + 3)) * t * t + 1;
  const far = (t) => ((A * t - 5 * A) * t + 8 * A) * t - 4 * A;
  return Array.from({ length: high }, (_, n) => {
    const at = ((n + 0.5) * low) / high - 0.5;
    const first = Math.floor(at);
    const t = at - first;
    return {
      from: [-1, 0, 1, 2].map((k) => Math.min(low - 1, Math.max(0, first + k))),
      weights: [far(1 + t), near(t), near(1 - t), far(2 - t)],
    };
  });
}

/* A plane of `width` x `height` numbers, enlarged bicubically row by row. */
export class Enlarged {
  constructor(plane, width, height, largeWidth, largeHeight) {
    this.wide = Array.from({ length: height }, () => new Float32Array(largeWidth));
    cubicTaps(width, largeWidth).forEach(({ from, weights }, x) => {
      for (let y = 0; y < height; y++) {
        const row = y * width;
        this.wide[y][x] = weights[0] * plane[row + from[0]] + weights[1] * plane[row + from[1]]
          + weights[2] * plane[row + from[2]] + weights[3] * plane[row + from[3]];
      }
    });
    this.taps = cubicTaps(height, largeHeight);
    this.current = new Float32Array(largeWidth);
  }

  /* Return row `y`; the array is that of the row before. */
  row(y) {
    const { from, weights } = this.taps[y];
    const [one, two, three, four] = from.map((n) => this.wide[n]);
    const [first, second, third, fourth] = weights;
    for (let x = 0; x < this.current.length; x++) {
      this.current[x] = first * one[x] + second * two[x] + third * three[x] + fourth * four[x];
    }
    return this.current;
  }
}

const linear = new Float64Array(3);

/* Set `linear` to the light of f, a and b; return whether sRGB has that colour. */
function toLinear(f, a, b) {
  const fx = f + a * 0.002;
  const fz = f - b * 0.005;
  const x = 0.95047 * (fx > DELTA ? fx * fx * fx : (fx - 4 / 29) * (3 * DELTA * DELTA));
  const y = f > DELTA ? f * f * f : (f - 4 / 29) * (3 * DELTA * DELTA);
  const z = 1.08883 * (fz > DELTA ? fz * fz * fz : (fz - 4 / 29) * (3 * DELTA * DELTA));
  const red = 3.24048134 * x - 1.53715152 * y - 0.49853633 * z;
  const green = -0.96925495 * x + 1.87599 * y + 0.04155593 * z;
  const blue = 0.05564664 * x - 0.20404134 * y + 1.05731107 * z;
  linear[0] = red;
  linear[1] = green;
  linear[2] = blue;
  return red > -1e-4 && red < 1.0001 && green > -1e-4 && green < 1.0001
    && blue > -1e-4 && blue < 1.0001;
}

function toByte(light) {
  return SRGB[light <= 0 ? 0 : light >= 1 ? 65535 : (light * 65535 + 0.5) | 0];
}

/* Write red, green and blue of a row of greys and chroma into pixels of four bytes.

   Every pixel keeps its lightness; chroma that sRGB does not have is reduced. */
export function colourRow(grey, greyAt, a, b, rgba, rgbaAt) {
  for (let x = 0, at = rgbaAt; x < a.length; x++, at += 4) {
    const f = F[grey[greyAt + x]];
    if (!toLinear(f, a[x], b[x])) {
      let low = 0;
      let high = 1;
      for (let step = 0; step < STEPS; step++) {
        const share = (low + high) / 2;
        if (toLinear(f, a[x] * share, b[x] * share)) low = share;
        else high = share;
      }
      toLinear(f, a[x] * low, b[x] * low);
    }
    rgba[at] = toByte(linear[0]);
    rgba[at + 1] = toByte(linear[1]);
    rgba[at + 2] = toByte(linear[2]);
  }
}
