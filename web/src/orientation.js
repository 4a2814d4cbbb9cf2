/* Orientation, EXIF's 1 to 8: where a stored picture's points and sides lie once it is upright. */

const TURNS = {
  1: (x, y) => [x, y],
  2: (x, y) => [1 - x, y],
  3: (x, y) => [1 - x, 1 - y],
  4: (x, y) => [x, 1 - y],
  5: (x, y) => [y, x],
  6: (x, y) => [1 - y, x],
  7: (x, y) => [1 - y, 1 - x],
  8: (x, y) => [y, 1 - x],
};

export const swapsSides = (orientation) => orientation > 4;
/* Return where a point lies upright, both coordinates in [0, 1]. */
export const turnPoint = (orientation, x, y) => TURNS[orientation](x, y);
export const turnExtent = (orientation, width, height) =>
  (swapsSides(orientation) ? [height, width] : [width, height]);

/* Return a bitmap, which is then closed, turned upright. */
export function turnUpright(bitmap, orientation) {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(...turnExtent(orientation, width, height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [origin, across, down] = [[0, 0], [1, 0], [0, 1]].map((corner) =>
    turnPoint(orientation, ...corner));
  const axes = [across, down].flatMap(([x, y]) => [x - origin[0], y - origin[1]]); // 0, 1 or -1
  context.setTransform(...axes, origin[0] * canvas.width, origin[1] * canvas.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.transferToImageBitmap();
}
