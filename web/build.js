// Makes dist/, the page without a server, of src/, the editor of app.py's page, the network and
// onnxruntime-web. Nothing is bundled: browsers load ES modules as they are.
//
// npm ci && npm run build

import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.dirname(HERE);
const DIST = path.join(HERE, "dist");
const PAGE = path.join(ROOT, "colourizer", "app", "page");
const CHECKPOINTS = path.join(ROOT, "checkpoints");
const RUNTIME = path.join(HERE, "node_modules", "onnxruntime-web", "dist");
const RUNTIME_FILES = [
  "ort.wasm.min.mjs", // WebAssembly alone
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.min.mjs", // and with WebGPU: twice as large, so only loaded where there is one
  "ort-wasm-simd-threaded.asyncify.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
];
// No request may leave the origin. The service worker says the same in a header, which workers
// obey, too.
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; " +
  "img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; " +
  "base-uri 'none'; form-action 'none'";
const HEAD = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="description" content="Colours for black-and-white photographs, in this browser.">
<meta name="theme-color" content="#fff" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="#1e1e1c" media="(prefers-color-scheme: dark)">
<link rel="manifest" href="manifest.webmanifest">
`;

// Static hosts send files as they are, and most of them compress neither .wasm nor .onnx.
const copyCompressed = (from, to) =>
  writeFileSync(path.join(DIST, `${to}.gz`), gzipSync(readFileSync(from), { level: 9 }));

rmSync(DIST, { recursive: true, force: true });
cpSync(PAGE, DIST, { recursive: true });
rmSync(path.join(DIST, "server.js")); // app.py's back end
cpSync(path.join(HERE, "src"), DIST, { recursive: true });
mkdirSync(path.join(DIST, "runtime"));
for (const name of RUNTIME_FILES) {
  const source = path.join(RUNTIME, name);
  if (name.endsWith(".wasm")) copyCompressed(source, `runtime/${name}`);
  else cpSync(source, path.join(DIST, "runtime", name));
}
for (const name of ["colourizer.onnx", "colourizer_readout.onnx"]) {
  copyCompressed(path.join(CHECKPOINTS, name), name);
}
const markup = readFileSync(path.join(PAGE, "index.html"), "utf8");
writeFileSync(path.join(DIST, "index.html"), markup.replace("<link ", `${HEAD}<link `));

// The service worker knows all files, and their version.
const hash = createHash("sha256");
const files = readdirSync(DIST, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== "service_worker.js")
  .map((entry) => path.relative(DIST, path.join(entry.parentPath, entry.name)))
  .map((name) => name.split(path.sep).join("/"))
  .sort();
for (const name of files) hash.update(name).update(readFileSync(path.join(DIST, name)));
const shell = files.filter((name) => !name.startsWith("runtime/") && !name.endsWith(".gz"));
const facts = { version: hash.digest("hex").slice(0, 12), policy: POLICY, shell: ["./", ...shell] };
const worker = path.join(DIST, "service_worker.js");
const text = readFileSync(worker, "utf8");
writeFileSync(worker, text.replace("/* FACTS */ {}", JSON.stringify(facts, null, 2)));
console.log(`${path.relative(process.cwd(), DIST)}, version ${facts.version}`);
