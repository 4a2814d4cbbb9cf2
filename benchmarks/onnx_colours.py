"""Benchmark: the colours of ONNX Runtime, and of web/dist in Chromium, against PyTorch's.

`python benchmarks/onnx_colours.py FOLDER` predicts photographs at their working size with
checkpoints/colourizer.onnx, as Python and the page without a server run it (WebAssembly), and with
the plain network in full precision. It prints the mean difference of ab in Lab units for some
vividnesses and variants, and the largest mean of one photograph. Where openvino is installed, it
prints how far that is from ONNX Runtime. With --software-gpu the page uses WebGPU, which Chromium
computes on the processor: a minute or more for each photograph.
"""

import argparse
import base64
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from playwright.sync_api import Page  # noqa: E402

from benchmarks.chromium import NO_GPU, SOFTWARE_GPU, open_chromium, open_page  # noqa: E402
from colourizer.colour.space import grey_to_lightness  # noqa: E402
from colourizer.inference.looks import Look  # noqa: E402
from colourizer.inference.prediction import Prediction  # noqa: E402
from colourizer.inference.preprocess import network_input, working_size  # noqa: E402
from colourizer.network.checkpoint import BUNDLED, build_model, load_checkpoint  # noqa: E402
from colourizer.photos.files import evenly_spaced, find_photos  # noqa: E402
from colourizer.photos.read import read_rgb  # noqa: E402
from Model_CNN import Model_CNN  # noqa: E402

READOUTS = [(vividness, variant) for vividness in (0.0, 0.5, 1.0) for variant in (0, 1)]
# All the readouts of a grey picture, by the page's own network.
READ_OUT = """async ([text, height, width, readouts]) => {
    const network = await import("./network.js");
    const grey = Uint8Array.from(atob(text), c => c.charCodeAt(0));
    const outputs = await network.predict(grey, height, width);
    const found = [];
    for (const [vividness, variant] of readouts) {
        const {a, b} = await network.readOut(outputs, vividness, variant);
        found.push([[...a], [...b]]);
    }
    return found;
}"""
# Of a page that takes a software adapter for a GPU, and waits for it as long as it takes.
ANY_GPU = """
Object.defineProperty(GPUAdapterInfo.prototype, "isFallbackAdapter", {get: () => false});
globalThis.setTimeout = () => {};
"""


def small_grey(path: Path) -> np.ndarray:
    """Return a photograph (H, W) uint8 of the working size."""
    grey = read_rgb(path).convert("L")
    return np.array(grey.resize(working_size(grey.height, grey.width)[::-1]))


@torch.inference_mode()
def torch_ab(model: Model_CNN, grey: np.ndarray) -> np.ndarray:
    """Return all readouts (6, 2, h, w) of the plain network in full precision."""
    lightness = network_input(grey_to_lightness(torch.from_numpy(grey)[None] / 255))
    prediction = Prediction.of_plain_network(model, lightness)
    return torch.cat([prediction.ab(Look(value), n) for value, n in READOUTS]).numpy()


def onnx_ab(session: onnxruntime.InferenceSession, grey: np.ndarray) -> np.ndarray:
    """Return all readouts (6, 2, h, w) of ONNX Runtime."""
    found = []
    for vividness, variant in READOUTS:
        settings = {"vividness": np.float32(vividness), "variant": np.int32(variant)}
        inputs = {name: np.array(value) for name, value in settings.items()}
        found += session.run(["ab"], {"grey": grey[None], **inputs})
    return np.concatenate(found)


def load_openvino() -> Callable[[np.ndarray], np.ndarray] | None:
    """Return a function from a grey to all readouts of OpenVINO; None where it is not installed."""
    if not find_spec("openvino"):
        return None
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32"}  # else bfloat16 where the processor has it
    compiled = openvino.Core().compile_model(BUNDLED.with_suffix(".onnx"), "CPU", options)

    def predict(grey: np.ndarray) -> np.ndarray:
        settings = [(np.float32(value), np.int32(variant)) for value, variant in READOUTS]
        return np.concatenate(
            [compiled((grey[None], *map(np.array, each)))["ab"] for each in settings]
        )

    return predict


def browser_ab(page: Page, grey: np.ndarray) -> np.ndarray:
    """Return all readouts (6, 2, h, w) of the page in the browser."""
    height, width = grey.shape
    text = base64.b64encode(grey.tobytes()).decode()
    found = page.evaluate(READ_OUT, [text, height, width, READOUTS])
    return np.array(found).reshape(len(READOUTS), 2, height // 4, width // 4)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="photographs")
    parser.add_argument("--count", type=int, default=50, metavar="N", help="default: %(default)s")
    parser.add_argument("--software-gpu", action="store_true", help="WebGPU instead of WebAssembly")
    args = parser.parse_args()
    model = build_model(load_checkpoint(BUNDLED), BUNDLED)
    assert isinstance(model, Model_CNN)
    session = onnxruntime.InferenceSession(BUNDLED.with_suffix(".onnx"))
    openvino_ab = load_openvino()
    differences = []  # (photographs, 2 engines, 6 readouts)
    by_openvino = []  # (photographs, 6 readouts)
    with open_chromium(SOFTWARE_GPU if args.software_gpu else NO_GPU) as (page, address):
        page.set_default_timeout(0)
        if args.software_gpu:
            page.add_init_script(ANY_GPU)
        open_page(page, address)
        for path in evenly_spaced(find_photos(args.folder), args.count):
            grey = small_grey(path)
            exact = torch_ab(model, grey)
            engines = np.stack((onnx_ab(session, grey), browser_ab(page, grey)))
            differences.append(np.abs(engines - exact).mean(axis=(2, 3, 4)))
            if openvino_ab:
                apart = np.abs(openvino_ab(grey) - engines[0])
                by_openvino.append(apart.mean(axis=(1, 2, 3)))
    means, largest = np.mean(differences, axis=0), np.max(differences, axis=0)
    print(f"ab differences from PyTorch in Lab units, {len(differences)} photographs")
    print("vividness  variant  ONNX Runtime: mean  largest  browser: mean  largest")
    for n, (vividness, variant) in enumerate(READOUTS):
        onnx, browser = (f"{means[engine, n]:.4f}   {largest[engine, n]:.3f}" for engine in (0, 1))
        print(f"{vividness:9.1f}  {variant:7}  {onnx:>27}  {browser:>22}")
    if by_openvino:
        print(f"OpenVINO, from ONNX Runtime: at most {np.max(by_openvino):.4f}")


if __name__ == "__main__":
    main()
