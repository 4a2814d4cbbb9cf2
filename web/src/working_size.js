/* A photograph's greys reduced to the size that the network works at. */

const WORKING_PIXELS = 256 * 256; // these two stand in the model's metadata, too
const MULTIPLE = 32;
const MIN_DETAIL = 4 / 3; // times the working size: to no less are pixels averaged over blocks

/* Return [height, width] that the network gets of a photograph. */
export function workingSize(height, width) {
  const aspect = Math.min(4, Math.max(0.25, height / width));
  const rows = Math.sqrt(WORKING_PIXELS * aspect);
  return [rows, rows / aspect].map((side) => Math.max(1, Math.round(side / MULTIPLE)) * MULTIPLE);
}

/* Return the side of the blocks of pixels that may be averaged before: a power of two. */
export function blockSide(height, width) {
  const [rows, columns] = workingSize(height, width);
  const factor = Math.min(height / rows, width / columns) / MIN_DETAIL;
  return factor >= 2 ? 2 ** Math.floor(Math.log2(factor)) : 1;
}

/* Return the means of greys over blocks; one that reaches beyond the edge has what lies inside. */
export function blockMeans(grey, width, height, side) {
  const columns = Math.ceil(width / side);
  const rows = Math.ceil(height / side);
  const means = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const sums = new Float64Array(columns);
    const last = Math.min(height, (row + 1) * side);
    for (let y = row * side; y < last; y++) {
      for (let x = 0; x < width; x++) sums[(x / side) | 0] += grey[y * width + x];
    }
    for (let column = 0; column < columns; column++) {
      const count = (last - row * side) * (Math.min(width, (column + 1) * side) - column * side);
      means[row * columns + column] = Math.round(sums[column] / count);
    }
  }
  return { grey: means, width: columns, height: rows };
}

/* Weights of `low` places in each of `high`: an antialiased triangle filter. */
function triangleTaps(low, high) {
  const scale = low / high;
  const support = Math.max(1, scale);
  return Array.from({ length: high }, (_, n) => {
    const centre = (n + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - support + 0.5));
    const last = Math.min(low, Math.floor(centre + support + 0.5));
    const weights = [];
    for (let k = first; k < last; k++) {
      weights.push(Math.max(0, 1 - Math.abs((k + 0.5 - centre) / support)));
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/* Return numbers of `width` x `height` resized to `newWidth` x `newHeight`. */
export function resize(plane, width, height, newWidth, newHeight) {
  const across = new Float32Array(height * newWidth);
  triangleTaps(width, newWidth).forEach(({ first, weights }, x) => {
    for (let y = 0; y < height; y++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * plane[y * width + first + k];
      across[y * newWidth + x] = sum;
    }
  });
  const resized = new Float32Array(newHeight * newWidth);
  triangleTaps(height, newHeight).forEach(({ first, weights }, y) => {
    for (let k = 0; k < weights.length; k++) {
      const from = (first + k) * newWidth;
      for (let x = 0; x < newWidth; x++) resized[y * newWidth + x] += weights[k] * across[from + x];
    }
  });
  return resized;
}
