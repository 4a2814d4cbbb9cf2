/* Photoshop's image resources in a JPEG, as colourizer/photos/photoshop.py. */

import { ascii, join, startsWith } from "./bytes.js";

const SIGNATURE = "Photoshop 3.0\0";
const BLOCK = "8BIM";
// Resource numbers: of thumbnails; of a working path, guides, slices, and counted points.
const THUMBNAILS = [1033, 1036];
const POSITIONS = [1025, 1032, 1050, 1080];
const isPath = (number) => number >= 2000 && number < 3000;

/* Return an APP13 segment without the thumbnails, which show the picture as it was, and, if that is
   turned, without positions in it. */
export function keepTrueResources(segment, turned) {
  const prefix = startsWith(segment, SIGNATURE) ? SIGNATURE : "";
  const view = new DataView(segment.buffer, segment.byteOffset, segment.length);
  const kept = [ascii(prefix)];
  for (let at = prefix.length; at < segment.length; ) {
    if (!startsWith(segment.subarray(at), BLOCK) || at + 12 > segment.length) return segment;
    let size = at + 7 + segment[at + 6]; // where it is; names are padded to even lengths
    size += (size - at) % 2;
    if (size + 4 > segment.length) return segment;
    const isOdd = view.getUint32(size) % 2;
    const end = size + 4 + view.getUint32(size) + isOdd;
    if (end > segment.length + isOdd) return segment;
    const number = view.getUint16(at + 4);
    const isPosition = POSITIONS.includes(number) || isPath(number);
    if (!THUMBNAILS.includes(number) && !(turned && isPosition)) {
      kept.push(segment.subarray(at, end));
    }
    at = end;
  }
  return join(kept);
}
