/* The network: onnxruntime-web, with WebGPU where there is one, else WebAssembly. */

import { decompress } from "./bytes.js";

const READOUT_INPUTS = ["sqrt_probability", "confidence", "lightness", "affinity", "things"];
const MAX_THREADS = 4; // more of them wait for each other
const TRIAL_SIDE = 256; // pixels of a picture on which a GPU is tried
const FIRST_SECONDS = 10; // that a GPU has for its first run, which compiles programs
const GPU_SECONDS = 0.4; // ... and for another one: WebAssembly takes as long on two cores

let ort = null;
let sessions = null;
let mayUseGpu = true; // until it fails: then another run may never end

async function fetchBytes(name) {
  const response = await fetch(new URL(`${name}.gz`, import.meta.url));
  if (!response.ok) throw new Error(`${name}: the host answered ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  // A host may say that .gz is an encoding, which the browser has then undone.
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  return decompress(bytes, "gzip");
}

async function createSessions(onGpu) {
  const build = onGpu ? ["ort.webgpu.min.mjs", "asyncify."] : ["ort.wasm.min.mjs", ""];
  const runtime = `runtime/ort-wasm-simd-threaded.${build[1]}`;
  const [module, wasm, network, readout] = await Promise.all([
    import(`./runtime/${build[0]}`),
    fetchBytes(`${runtime}wasm`),
    fetchBytes("colourizer.onnx"),
    fetchBytes("colourizer_readout.onnx"),
  ]);
  ort = module;
  ort.env.logLevel = "error";
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.wasmPaths = { mjs: new URL(`${runtime}mjs`, import.meta.url).href };
  const threads = globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  ort.env.wasm.numThreads = Math.min(MAX_THREADS, threads);
  const create = (bytes, provider) =>
    ort.InferenceSession.create(bytes, { executionProviders: [provider], logSeverityLevel: 3 });
  return {
    onGpu,
    network: await create(network, onGpu ? "webgpu" : "wasm"),
    readout: await create(readout, "wasm"),
  };
}

/* Load the network, once. */
export function load() {
  sessions ??= (async () => (await createGpuSessions()) ?? createSessions(false))();
  sessions.catch(() => { sessions = null; }); // the network may be back next time
  return sessions;
}

/* Return sessions on the GPU; null if there is none, or if it fails or is slower than WebAssembly. */
async function createGpuSessions() {
  const gpu = mayUseGpu && await navigator.gpu?.requestAdapter().catch(() => null);
  if (!gpu || (gpu.info?.isFallbackAdapter ?? gpu.isFallbackAdapter)) return null;
  try {
    const made = await createSessions(true);
    for (const seconds of [FIRST_SECONDS, GPU_SECONDS]) {
      const trial = run(made, new Uint8Array(TRIAL_SIDE ** 2), TRIAL_SIDE, TRIAL_SIDE);
      const late = new Promise((_, fail) => setTimeout(fail, 1000 * seconds));
      await Promise.race([trial, late]);
    }
    return made;
  } catch {
    mayUseGpu = false;
    return null;
  }
}

const settings = (vividness, variant) => ({
  vividness: new ort.Tensor("float32", [vividness], []),
  variant: new ort.Tensor("int32", [variant], []),
});

function run({ network }, grey, height, width) {
  const feeds = { grey: new ort.Tensor("uint8", grey, [1, height, width]), ...settings(0, 0) };
  return network.run(feeds, network.outputNames.filter((name) => name !== "ab" || onlyAb(network)));
}

const onlyAb = (network) => network.outputNames.length === 1;

/* Run the network on a grey picture, whose sides are multiples of 32.

   Return its outputs, as docs/onnx.md lists them, without ab; with ab alone of networks that have
   no likelihoods. */
export async function predict(grey, height, width) {
  const made = await load();
  try {
    return await run(made, grey, height, width);
  } catch (error) {
    if (!made.onGpu) throw error;
    mayUseGpu = false;
    sessions = null;
    return run(await load(), grey, height, width);
  }
}

export const hasLikelihoods = (outputs) => "sqrt_probability" in outputs;

/* Return chroma, {a, b, width, height} in Lab units, of the network's outputs. */
export async function readOut(outputs, vividness, variant) {
  const { readout } = await load();
  let { ab } = outputs;
  if (hasLikelihoods(outputs)) {
    const inputs = Object.fromEntries(READOUT_INPUTS.map((name) => [name, outputs[name]]));
    ({ ab } = await readout.run({ ...inputs, ...settings(vividness, variant) }));
  }
  const [, , height, width] = ab.dims;
  const size = height * width;
  return { a: ab.data.slice(0, size), b: ab.data.slice(size), width, height };
}
