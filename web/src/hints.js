/* Known colours propagated over a photograph by Gaussian-process regression.

   As colourizer/inference/hints.py does it, with features at stride 8. */

const AB_LENGTH = 61.5; // Lab units of predicted chroma
const POSITION_LENGTH = 0.71; // of the photograph's sides
const NOISE = 0.02;

/* Return chroma, changed by hints.

   chroma: {a, b, width, height}, predicted. features: a tensor (1, C, height / 2, width / 2).
   points: {x, y} as shares of width and height in [0, 1), and {a, b}. */
export function propagateHints(chroma, features, points) {
  const [, , rows, columns] = features.dims;
  const places = placesOf(chroma, features);
  const known = points.map(({ x, y }) => places.at(Math.floor(y * rows), Math.floor(x * columns)));
  const kernel = (one, other) => {
    let square = 0;
    for (let n = 0; n < one.length; n++) square += (one[n] - other[n]) ** 2;
    return Math.exp(-square);
  };
  const covariance = known.map((one, i) =>
    known.map((other, j) => kernel(one, other) + (i === j ? NOISE : 0)));
  const predicted = ({ x, y }) =>
    Math.floor(y * chroma.height) * chroma.width + Math.floor(x * chroma.width);
  const targets = points.map((point) =>
    [point.a - chroma.a[predicted(point)], point.b - chroma.b[predicted(point)]]);
  const weights = solve(covariance, targets);
  const change = [new Float32Array(rows * columns), new Float32Array(rows * columns)];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const place = places.at(row, column);
      known.forEach((one, i) => {
        const alike = kernel(place, one);
        change[0][row * columns + column] += alike * weights[i][0];
        change[1][row * columns + column] += alike * weights[i][1];
      });
    }
  }
  return {
    ...chroma,
    a: addDoubled(chroma.a, change[0], columns, rows),
    b: addDoubled(chroma.b, change[1], columns, rows),
  };
}

/* What the kernel compares: features, predicted chroma and position of each place. */
function placesOf(chroma, features) {
  const [, channels, rows, columns] = features.dims;
  const { a, b, width } = chroma;
  const mean = (plane, row, column) => {
    const at = 2 * row * width + 2 * column;
    return (plane[at] + plane[at + 1] + plane[at + width] + plane[at + width + 1]) / 4;
  };
  const at = (row, column) => {
    const place = new Float32Array(channels + 4);
    for (let c = 0; c < channels; c++) {
      place[c] = features.data[(c * rows + row) * columns + column];
    }
    place[channels] = mean(a, row, column) / AB_LENGTH;
    place[channels + 1] = mean(b, row, column) / AB_LENGTH;
    place[channels + 2] = (row + 0.5) / rows / POSITION_LENGTH;
    place[channels + 3] = (column + 0.5) / columns / POSITION_LENGTH;
    return place;
  };
  return { at };
}

/* Solve a positive definite system, by Gaussian elimination, for targets of two columns. */
function solve(matrix, targets) {
  const rows = matrix.map((row, i) => [...row, ...targets[i]]);
  const size = rows.length;
  for (let i = 0; i < size; i++) {
    for (let j = i + 1; j < size; j++) {
      const factor = rows[j][i] / rows[i][i];
      for (let k = i; k < size + 2; k++) rows[j][k] -= factor * rows[i][k];
    }
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let column = size; column < size + 2; column++) {
      for (let j = i + 1; j < size; j++) rows[i][column] -= rows[i][j] * rows[j][column];
      rows[i][column] /= rows[i][i];
    }
  }
  return rows.map((row) => row.slice(size));
}

/* Return a plane plus one of half its sides, enlarged bilinearly. */
function addDoubled(plane, half, columns, rows) {
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
