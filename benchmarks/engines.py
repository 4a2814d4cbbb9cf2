"""Benchmark: ONNX Runtime beside our packed and quantized convolutions, and their start-up.

`python benchmarks/engines.py` predicts the samples and reads their colours, on one thread and on
two. Ours is what colourize.py uses; ONNX Runtime gets the .onnx in full precision and, as "int8",
with the decoder's convolutions quantized as ours are. The engines alternate; compare the ratios.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from onnxruntime import quantization  # noqa: E402
from PIL import Image  # noqa: E402

from colourizer.colour.space import grey_to_lightness  # noqa: E402
from colourizer.inference.colourizer import CPU_BATCH_SIZE, Colourizer  # noqa: E402
from colourizer.inference.looks import Look  # noqa: E402
from colourizer.inference.prediction import Prediction  # noqa: E402
from colourizer.inference.preprocess import network_input, working_size  # noqa: E402
from colourizer.network.checkpoint import BUNDLED, build_model, load_checkpoint  # noqa: E402

ONNX = BUNDLED.with_suffix(".onnx")
VIVIDNESS = 0.5
OURS, OURS_IN_BATCHES = "ours, one at a time", f"ours, {CPU_BATCH_SIZE} at a time"
STARTS = {
    "colourize.py": [str(ROOT / "colourize.py"), "--overwrite", "{photo}", "-o", "{out}"],
    "examples/python": [str(ROOT / "examples/python/colour_folder.py"), "{folder}", "{out}"],
}


def small_greys() -> list[np.ndarray]:
    """Return the samples at their working sizes, each (1, H, W) uint8."""
    greys = []
    for path in sorted((ROOT / "data" / "samples").glob("*.jpg")):
        image = Image.open(path).convert("L")
        size = working_size(image.height, image.width)
        greys.append(np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))[None])
    return greys


def feeds_of(grey: np.ndarray) -> dict[str, np.ndarray]:
    """Return the inputs of the ONNX graph."""
    return {
        "grey": grey,
        "vividness": np.array(VIVIDNESS, np.float32),
        "variant": np.array(0, np.int32),
    }


class Samples(quantization.CalibrationDataReader):
    """The samples, from which ONNX Runtime finds the ranges of activations."""

    def __init__(self, greys: list[np.ndarray]) -> None:
        self._feeds = iter([feeds_of(grey) for grey in greys])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next sample's inputs, None after the last."""
        return next(self._feeds, None)


def quantize_decoder(folder: Path, greys: list[np.ndarray]) -> Path:
    """Write the .onnx with the decoder's convolutions in 8 bits; return its path."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "folded.onnx")  # widened weights
    onnxruntime.InferenceSession(ONNX, options, providers=["CPUExecutionProvider"])
    model = onnx.load(folder / "folded.onnx")
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    first = max(n for n, node in enumerate(nodes) if weights[node.input[1]][1] == 1)
    decoder = [node.name for node in nodes[first + 1 :] if weights[node.input[1]][2] == 3]
    quantization.quantize_static(
        folder / "folded.onnx",
        folder / "int8.onnx",
        Samples(greys),
        per_channel=True,
        nodes_to_quantize=[*decoder, nodes[-1].name],
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return folder / "int8.onnx"


def onnx_engine(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from a grey (1, H, W) to its ab (1, 2, h, w)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda grey: session.run(["ab"], feeds_of(grey))[0]


def our_engine(threads: int, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return such a function that uses what colourize.py uses, for so many copies of the grey."""
    colourizer = Colourizer.load(device="cpu")

    def predict(grey: np.ndarray) -> np.ndarray:
        torch.set_num_threads(threads)
        lightness = grey_to_lightness(torch.from_numpy(grey.copy()) / 255)
        for prediction in colourizer.predict([lightness] * batch):
            prediction.confidence()
            ab = prediction.ab(Look(VIVIDNESS)).numpy()
        return ab

    return predict


@torch.inference_mode()
def exact_ab(grey: np.ndarray) -> np.ndarray:
    """Return the ab of the plain network in full precision."""
    model = build_model(load_checkpoint(BUNDLED), BUNDLED)
    lightness = network_input(grey_to_lightness(torch.from_numpy(grey.copy()) / 255))
    return Prediction.of_plain_network(model, lightness).ab(Look(VIVIDNESS)).numpy()


def time_engines(folder: Path, greys: list[np.ndarray], rounds: int) -> None:
    """Print a row for each engine and number of threads."""
    int8 = quantize_decoder(folder, greys)
    exact = [exact_ab(grey) for grey in greys]
    print("engine                threads  ms/photo  ours / its  ab from fp32 (Lab units)")
    for threads in (1, 2):
        engines = {
            OURS: our_engine(threads, 1),
            OURS_IN_BATCHES: our_engine(threads, CPU_BATCH_SIZE),
            "onnxruntime fp32": onnx_engine(ONNX, threads),
            "onnxruntime int8": onnx_engine(int8, threads),
        }
        differences = {
            name: np.mean(
                [np.abs(run(grey) - ab).mean() for grey, ab in zip(greys, exact, strict=True)]
            )
            for name, run in engines.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(rounds):
            for name, run in engines.items():  # alternating, so that load affects all alike
                begun = time.perf_counter()
                for grey in greys:
                    run(grey)
                photos = len(greys) * (CPU_BATCH_SIZE if name == OURS_IN_BATCHES else 1)
                seconds[name].append((time.perf_counter() - begun) / photos)
        for name, found in seconds.items():
            ratios = [ours / its for ours, its in zip(seconds[OURS], found, strict=True)]
            print(
                f"{name:20}  {threads:7}  {statistics.median(found) * 1000:8.1f}  "
                f"{statistics.median(ratios):10.2f}  {differences[name]:.3f}"
            )


def time_starts(folder: Path, rounds: int) -> None:
    """Print the seconds from the start of a command to its first photograph's end."""
    photo = sorted((ROOT / "data" / "samples").glob("*.jpg"))[0]
    (folder / "photos").mkdir()
    (folder / "photos" / photo.name).write_bytes(photo.read_bytes())
    names = {"photo": str(photo), "folder": str(folder / "photos"), "out": str(folder / "out")}
    seconds: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(rounds):
        for name, parts in STARTS.items():
            command = [sys.executable, *(part.format(**names) for part in parts)]
            begun = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            seconds[name].append(time.perf_counter() - begun)
    for name, found in seconds.items():
        print(f"start-up and one photograph, {name}: {statistics.median(found):.2f} s")


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="the median of N rounds (default: 5)"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        time_engines(Path(name), small_greys(), args.rounds)
        time_starts(Path(name), args.rounds)


if __name__ == "__main__":
    main()
