/* XMP without what is true of the stored picture, or of other parts of its file only.

   As colourizer/photos/upright_xmp.py, which says why. It runs on the page: workers parse no XML. */

import { swapsSides, turnExtent, turnPoint } from "./orientation.js";

const GOOGLE = "http://ns.google.com/photos/1.0/", ADOBE = "http://ns.adobe.com/";
const XMP = `${ADOBE}xap/1.0/`, TIFF = `${ADOBE}tiff/1.0/`, EXIF = `${ADOBE}exif/1.0/`;
const NOTE = `${ADOBE}xmp/note/`, PHOTOSHOP = `${ADOBE}photoshop/1.0/`;
const REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/";
const AREA = `${ADOBE}xmp/sType/Area#`, DIMENSIONS = `${ADOBE}xap/1.0/sType/Dimensions#`;
const MICROSOFT_REGION = "http://ns.microsoft.com/photo/1.2/t/Region#";

const LEFT_OUT_NAMESPACES = [
  `${GOOGLE}container/`, "http://ns.google.com/photos/dd/", `${ADOBE}hdr-gain-map/`,
  "http://ns.apple.com/HDRGainMap/",
];
const LEFT_OUT_NAMES = [
  ["", ["MotionPhoto", "MicroVideo"]],
  ["http://ns.oplus.com/photos/1.0/camera/", ["OLivePhoto", "VideoLength"]],
  ["http://ns.xiaomi.com/photos/1.0/camera/", ["XMPMeta"]],
  [NOTE, ["HasExtendedXMP"]],
  [XMP, ["Thumbnails"]],
];
const EXTENDED_NAMESPACES = ["depthmap", "image", "audio"].map((what) => `${GOOGLE}${what}/`);
const MANIFEST_NAME = ["http://purl.org/dc/terms/", "provenance"], MANIFEST = "self#jumbf";
const STORED_NAMESPACES = [
  `${GOOGLE}panorama/`, "http://ns.acdsee.com/regions/", "http://ns.apple.com/faceinfo/",
  ...EXTENDED_NAMESPACES,
];
const STORED_NAMES = [
  ["http://iptc.org/std/Iptc4xmpExt/2008-02-29/", ["ImageRegion"]],
  [EXIF, ["SubjectArea", "SubjectLocation"]],
  [`${ADOBE}camera-raw-settings/1.0/`, [
    "Crop", "HasCrop", "Retouch", "RedEye", "Perspective", "Upright",
    "GradientBased", "CircularGradientBased", "PaintBased", "MaskGroupBased",
  ]],
];
const RESOLUTIONS = [
  [TIFF, "XResolution", "YResolution"],
  [EXIF, "FocalPlaneXResolution", "FocalPlaneYResolution"],
];
const SIZES = [
  [EXIF, "PixelXDimension", 1],
  [EXIF, "PixelYDimension", 0],
  [TIFF, "ImageWidth", 1],
  [TIFF, "ImageLength", 0],
];
const SAMPLES = [
  [PHOTOSHOP, "ColorMode", ["ColorMode", "ICCProfile"]],
  [TIFF, "SamplesPerPixel", ["SamplesPerPixel", "BitsPerSample", "PhotometricInterpretation"]],
];
const MAX_STRETCH = 0.02;

/* Return a packet, in UTF-8, of a picture that is upright and alone in its file.

   xmp: bytes of a packet. orientation: of the stored picture, 1 to 8. size: [height, width] of the
   upright one. One that cannot be parsed, of which nobody knows what it says, becomes undefined. */
export function uprightXmp(xmp, orientation, size) {
  try {
    return update(xmp, orientation, size);
  } catch {
    return undefined;
  }
}

function update(xmp, orientation, size) {
  const text = decode(xmp);
  const root = new DOMParser().parseFromString(text, "text/xml").documentElement;
  if (root.ownerDocument.querySelector("parsererror")) throw new SyntaxError("no XML");
  const before = serialize(root);
  const isExtended = find(root, NOTE, "HasExtendedXMP").length > 0;
  leaveOut(root, LEFT_OUT_NAMESPACES, LEFT_OUT_NAMES);
  if (isExtended) leaveOut(root, EXTENDED_NAMESPACES, []);
  for (const field of find(root, ...MANIFEST_NAME)) {
    if (valueOf(field).trim().startsWith(MANIFEST)) remove(field);
  }
  for (const [namespace, name, names] of SAMPLES) {
    const isRgb = find(root, namespace, name).every((field) => valueOf(field).trim() === "3");
    if (!isRgb) leaveOut(root, [], [[namespace, names]]);
  }
  if (orientation > 1) {
    leaveOut(root, STORED_NAMESPACES, STORED_NAMES);
    turnRegions(root, orientation, size);
    for (const [namespace, ...names] of swapsSides(orientation) ? RESOLUTIONS : []) {
      const [across, down] = names.map((name) => find(root, namespace, name));
      across.slice(0, down.length).forEach((field, n) => exchange(field, down[n]));
    }
  }
  for (const [namespace, name, axis] of SIZES) {
    for (const field of find(root, namespace, name)) set(field, String(size[axis]));
  }
  for (const field of find(root, TIFF, "Orientation")) set(field, "1");
  const after = serialize(root);
  const end = `</${root.nodeName}>`;
  const [from, to] = [text.indexOf(`<${root.nodeName}`), text.lastIndexOf(end)];
  const upright = after === before || to < 0 ? text
    : text.slice(0, from) + after + text.slice(to + end.length);
  return new TextEncoder().encode(upright);
}

const serialize = (root) => new XMLSerializer().serializeToString(root);

/* Return the text of a packet of UTF-8, UTF-16, UTF-32 or, against the rules, Latin-1. */
function decode(xmp) {
  const first = [...xmp.subarray(0, 4)].map((byte) => (byte ? "x" : "0")).join("");
  const view = new DataView(xmp.buffer, xmp.byteOffset, xmp.length);
  let text;
  if (first === "x000" || first === "000x" || first === "xx00" || first === "00xx") {
    const little = first[0] === "x";
    const points = Array.from({ length: xmp.length >> 2 }, (_, n) => view.getUint32(4 * n, little));
    text = points.map((point) => String.fromCodePoint(point)).join("");
  } else if (first.startsWith("0x") || (xmp[0] === 0xfe && xmp[1] === 0xff)) {
    text = new TextDecoder("utf-16be").decode(xmp);
  } else if (first.startsWith("x0") || (xmp[0] === 0xff && xmp[1] === 0xfe)) {
    text = new TextDecoder("utf-16le").decode(xmp);
  } else {
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(xmp);
    } catch {
      text = new TextDecoder("latin1").decode(xmp);
    }
  }
  const named = /(<\?xml\b[^<>]*?)\sencoding\s*=\s*["'][^"']*["']/;
  return text.replace(/^\ufeff/, "").replace(/\0+$/, "").replace(named, "$1");
}

/* Return an element's properties: its attributes and the elements in it. */
const fieldsOf = (element) => [...element.attributes, ...element.children];

const elementsOf = (root) => [root, ...root.querySelectorAll("*")];

const find = (root, namespace, name) => elementsOf(root).flatMap(fieldsOf)
  .filter((field) => field.namespaceURI === namespace && field.localName === name);

const valueOf = (field) => field.value ?? field.textContent;

function remove(field) {
  if (field.ownerElement) field.ownerElement.removeAttributeNode(field);
  else field.remove?.();
}

/* Set a property that holds a number, unless it has an equal one. */
function set(field, value) {
  if (valueOf(field).trim() === value) return;
  if (field.ownerElement) field.value = value;
  else field.textContent = value;
}

function exchange(one, other) {
  const values = [valueOf(other), valueOf(one)];
  set(one, values[0]);
  set(other, values[1]);
}

/* Remove the properties of some namespaces, and those with some beginnings of names in others. */
function leaveOut(root, namespaces, names) {
  for (const field of elementsOf(root).flatMap(fieldsOf)) {
    const { namespaceURI, localName } = field;
    const goes = namespaces.some((namespace) => namespaceURI?.startsWith(namespace))
      || names.some(([namespace, beginnings]) => (namespaceURI ?? "").startsWith(namespace)
        && beginnings.some((beginning) => localName.startsWith(beginning)));
    if (goes) remove(field);
  }
}

/* Return the number that a text is; throws if it is none. */
function numberOf(text) {
  const number = text.trim() ? Number(text) : NaN;
  if (Number.isNaN(number)) throw new RangeError("no number");
  return number;
}

const spell = (number) => String(Number(number.toPrecision(6)));

/* Turn the regions of faces and things; those that are not of this picture are removed. */
function turnRegions(root, orientation, size) {
  for (const regions of find(root, REGIONS, "Regions")) {
    let isKnown = false;
    try {
      isKnown = !regions.ownerElement && turnAreas(regions, orientation, size);
    } catch {
      // no numbers
    }
    if (!isKnown) remove(regions);
  }
  for (const rectangle of find(root, MICROSOFT_REGION, "Rectangle")) {
    try {
      const [x, y, ...extent] = valueOf(rectangle).split(",").map(numberOf);
      const centre = turnPoint(orientation, x + extent[0] / 2, y + extent[1] / 2);
      const [width, height] = turnExtent(orientation, ...extent);
      const turned = [centre[0] - width / 2, centre[1] - height / 2, width, height];
      if (turned.length + extent.length !== 6 || turned.some(Number.isNaN)) throw new RangeError();
      set(rectangle, turned.map(spell).join(", "));
    } catch {
      remove(rectangle);
    }
  }
}

/* Turn the areas of a list of regions; return false if it is not of this picture. */
function turnAreas(regions, orientation, size) {
  for (const element of elementsOf(regions)) {
    const inside = (namespace) => Object.fromEntries(fieldsOf(element)
      .filter((field) => field.namespaceURI === namespace)
      .map((field) => [field.localName, field]));
    const of = inside(DIMENSIONS);
    if (of.w && of.h) {
      const [width, height] = turnExtent(orientation, ...[of.w, of.h].map(valueOf).map(numberOf));
      // Regions of other proportions than the picture's are out of date.
      const stretch = Math.abs(((width / height) * size[0]) / size[1] - 1);
      if (height <= 0 || stretch > MAX_STRETCH) return false;
      if (swapsSides(orientation)) exchange(of.w, of.h);
    }
    const { x, y, w, h, unit } = inside(AREA);
    if (unit && valueOf(unit) !== "normalized") return false;
    if (x && y) {
      const centre = turnPoint(orientation, ...[x, y].map(valueOf).map(numberOf));
      [x, y].forEach((field, n) => set(field, spell(centre[n])));
    }
    if (w && h && swapsSides(orientation)) exchange(w, h);
  }
  return true;
}
