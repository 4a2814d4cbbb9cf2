/* ZIP files whose members, which are compressed pictures, are stored as they are. */

import { crc32 } from "./crc32.js";

const MAX_BYTES = 0xffffffff; // of a ZIP without the extensions that not all programs read
const UTF_8 = 0x800;
const VERSION = 20;

/* Names by which members of a ZIP can be told apart. */
export function uniqueNames(names) {
  const taken = new Set();
  return names.map((name) => {
    const [, stem, suffix] = /^(.*?)(\.[^./]*)?$/s.exec(name);
    let unique = name;
    for (let n = 2; taken.has(unique.toLowerCase()); n++) unique = `${stem}_${n}${suffix ?? ""}`;
    taken.add(unique.toLowerCase());
    return unique;
  });
}

/* A ZIP that grows by one member at a time; the browser may keep what is in it on disk. */
export class Zip {
  constructor() {
    this.parts = [];
    this.entries = [];
    this.size = 0;
  }

  async add(name, blob) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const entry = { name: new TextEncoder().encode(name), crc: crc32(bytes), size: bytes.length,
      at: this.size };
    const head = record(entry, false);
    if (this.size + head.length + bytes.length > MAX_BYTES) {
      throw new Error("all together have more than 4 GB; download fewer at a time");
    }
    this.parts.push(head, blob);
    this.entries.push(entry);
    this.size += head.length + bytes.length;
  }

  close() {
    const directory = this.entries.map((entry) => record(entry, true));
    const length = directory.reduce((sum, part) => sum + part.length, 0);
    const end = new DataView(new ArrayBuffer(22));
    end.setUint32(0, 0x06054b50, true);
    end.setUint16(8, directory.length, true);
    end.setUint16(10, directory.length, true);
    end.setUint32(12, length, true);
    end.setUint32(16, this.size, true);
    return new Blob([...this.parts, ...directory, end], { type: "application/zip" });
  }
}

/* Return the head of a member, or its record in the central directory. */
function record({ name, crc, size, at }, central) {
  const bytes = new Uint8Array((central ? 46 : 30) + name.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, central ? 0x02014b50 : 0x04034b50, true);
  let to = 4;
  const put16 = (...values) => values.forEach((value) => {
    view.setUint16(to, value, true);
    to += 2;
  });
  if (central) put16(VERSION);
  put16(VERSION, UTF_8, 0, ...dosTime(new Date()));
  for (const value of [crc, size, size]) {
    view.setUint32(to, value, true);
    to += 4;
  }
  put16(name.length, 0);
  if (central) {
    put16(0, 0, 0, 0, 0);
    view.setUint32(to, at, true);
    to += 4;
  }
  bytes.set(name, to);
  return bytes;
}

const dosTime = (date) => [
  (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1),
  ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate(),
];
