/* Known colours, of hints or of a reference, propagated over a photograph.

   By Gaussian-process regression, as colourizer/inference/hints.py does it, but with features at
   stride 8. Chroma is {a, b, width, height}, features a tensor (1, C, height / 2, width / 2). */

const AB_LENGTH = 61.5; // Lab units of predicted chroma
const OWN_WEIGHT = 0.4; // for hints, of a place's own features ...
const THING_WEIGHT = 2.5; // ... and of those of the thing that it belongs to
const POSITION_LENGTH = 1.0; // of the photograph's sides
const HINT_NOISE = 0.02;
const REFERENCE_NOISE = 0.5;
// Shares are 0.04 lower than with the program's finer places, and so are these.
const UNRELATED = 0.16; // share that a reference matches up to which it changes nothing ...
const RELATED = 0.4; // ... and from which on its whole change counts
const HARDLY = 0.37; // share below which it is probably of something else
const SAMPLE_STEP = 17; // places

/* Return chroma, changed by hints: {x, y} as shares of width and height in [0, 1), and {a, b}.

   things: the features of the thing that each place belongs to, of the shape of its own. */
export function propagateHints(chroma, { features, things }, hints) {
  const [, channels, rows, columns] = features.dims;
  const { places, size } = kernelInputs(chroma, features);
  const located = places.map((place, n) => Float32Array.of(
    ...place.map((value, c) => (c < channels ? value * Math.sqrt(OWN_WEIGHT) : value)),
    ...Array.from({ length: channels },
      (_, c) => things.data[c * rows * columns + n] * Math.sqrt(THING_WEIGHT)),
    (Math.floor(n / columns) + 0.5) / rows / POSITION_LENGTH,
    ((n % columns) + 0.5) / columns / POSITION_LENGTH));
  const known = hints.map(({ x, y }) =>
    located[Math.floor(y * rows) * columns + Math.floor(x * columns)]);
  const targets = hints.map(({ x, y, a, b }) => {
    const at = Math.floor(y * chroma.height) * chroma.width + Math.floor(x * chroma.width);
    return [a - chroma.a[at], b - chroma.b[at]];
  });
  return add(chroma, posterior(located, known, targets, HINT_NOISE).mean, size);
}

/* Return {chroma, share, hardly}: chroma, changed by a reference's colours where the photograph
   looks like it; the share that matches, and whether that is hardly any of it.

   theirs: the reference's features. predicted: the chroma predicted for it. trueChroma: its own,
   of half the sides of its features. */
export function propagateReference(chroma, features, { theirs, predicted, trueChroma }) {
  const { places, size } = kernelInputs(chroma, features);
  const halved = halvePlaces(kernelInputs(predicted, theirs));
  const targets = halved.places.map((place, n) => {
    const [a, b] = place.slice(-2).map((value) => value * AB_LENGTH);
    return [trueChroma.a[n] - a, trueChroma.b[n] - b];
  });
  const sampled = places.filter((_, n) => n % SAMPLE_STEP === 0);
  const { mean, said } = posterior(places, halved.places, targets, REFERENCE_NOISE, sampled);
  const share = said.reduce((sum, one) => sum + one, 0) / said.length;
  const influence = Math.min(1, Math.max(0, (share - UNRELATED) / (RELATED - UNRELATED)));
  const change = mean.map((plane) => plane.map((value) => value * influence));
  return { chroma: add(chroma, change, size), share, hardly: share < HARDLY };
}

/* What the kernel compares: features and predicted chroma of each place; and [rows, columns]. */
function kernelInputs(chroma, features) {
  const [, channels, rows, columns] = features.dims;
  const { width } = chroma;
  const mean = (plane, n) => {
    const at = 2 * Math.floor(n / columns) * width + 2 * (n % columns);
    return (plane[at] + plane[at + 1] + plane[at + width] + plane[at + width + 1]) / 4;
  };
  const places = Array.from({ length: rows * columns }, (_, n) => {
    const place = new Float32Array(channels + 2);
    for (let c = 0; c < channels; c++) place[c] = features.data[c * rows * columns + n];
    place[channels] = mean(chroma.a, n) / AB_LENGTH;
    place[channels + 1] = mean(chroma.b, n) / AB_LENGTH;
    return place;
  });
  return { places, size: [rows, columns] };
}

/* Return places averaged over 2 x 2. */
function halvePlaces({ places, size: [rows, columns] }) {
  const half = [rows / 2, columns / 2];
  const averaged = Array.from({ length: half[0] * half[1] }, (_, n) => {
    const at = 2 * Math.floor(n / half[1]) * columns + 2 * (n % half[1]);
    const four = [at, at + 1, at + columns, at + columns + 1].map((k) => places[k]);
    return four[0].map((_value, c) => four.reduce((sum, place) => sum + place[c], 0) / 4);
  });
  return { places: averaged, size: half };
}

function kernel(one, other) {
  let square = 0;
  for (let n = 0; n < one.length; n++) square += (one[n] - other[n]) * (one[n] - other[n]);
  return Math.exp(-square);
}

/* Return the posterior, given targets [a, b] at known places.

   mean: at places, two planes. said: of sampled places 1 less the variance. */
function posterior(places, known, targets, noise, sampled = []) {
  const covariance = known.map((one, i) =>
    known.map((other, j) => kernel(one, other) + (i === j ? noise : 0)));
  const some = sampled.map((place) => known.map((one) => kernel(place, one)));
  const weights = solve(covariance, targets.map((pair, i) => [...pair, ...some.map((k) => k[i])]));
  const planes = [new Float32Array(places.length), new Float32Array(places.length)];
  places.forEach((place, n) => {
    known.forEach((one, i) => {
      const alike = kernel(place, one);
      planes[0][n] += alike * weights[i][0];
      planes[1][n] += alike * weights[i][1];
    });
  });
  const said = some.map((row, n) =>
    row.reduce((sum, alike, i) => sum + alike * weights[i][2 + n], 0));
  return { mean: planes, said };
}

const add = (chroma, [a, b], size) =>
  ({ ...chroma, a: addDoubled(chroma.a, a, size), b: addDoubled(chroma.b, b, size) });

/* Solve a positive definite system, by Gaussian elimination, for targets of several columns. */
function solve(matrix, targets) {
  const rows = matrix.map((row, i) => [...row, ...targets[i]]);
  const size = rows.length;
  const width = rows[0].length;
  for (let i = 0; i < size; i++) {
    for (let j = i + 1; j < size; j++) {
      const factor = rows[j][i] / rows[i][i];
      for (let k = i; k < width; k++) rows[j][k] -= factor * rows[i][k];
    }
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let column = size; column < width; column++) {
      for (let j = i + 1; j < size; j++) rows[i][column] -= rows[i][j] * rows[j][column];
      rows[i][column] /= rows[i][i];
    }
  }
  return rows.map((row) => row.slice(size));
}

/* Return a plane plus one of half its sides, enlarged bilinearly. */
function addDoubled(plane, half, [rows, columns]) {
  const sum = plane.slice();
  const inside = (n, size) => Math.min(size - 1, Math.max(0, n));
  for (let y = 0; y < 2 * rows; y++) {
    const top = Math.floor((y - 1) / 2);
    const down = y % 2 ? 0.25 : 0.75;
    for (let x = 0; x < 2 * columns; x++) {
      const left = Math.floor((x - 1) / 2);
      const right = x % 2 ? 0.25 : 0.75;
      const value = (row, column) => half[inside(row, rows) * columns + inside(column, columns)];
      sum[2 * y * columns + x] +=
        (1 - down) * ((1 - right) * value(top, left) + right * value(top, left + 1))
        + down * ((1 - right) * value(top + 1, left) + right * value(top + 1, left + 1));
    }
  }
  return sum;
}
