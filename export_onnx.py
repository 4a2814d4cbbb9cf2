"""Command: export a checkpoint as one ONNX file, which needs neither PyTorch nor this program."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from colourizer.inference.onnx_graph import export_graph, export_readout
from colourizer.inference.prediction import has_likelihoods
from colourizer.inference.preprocess import WORKING_PIXELS
from colourizer.inference.readout import DEFAULT_VIVIDNESS
from colourizer.inference.variants import MAX_VARIANTS
from colourizer.network.checkpoint import (
    BUNDLED,
    CheckpointError,
    build_model,
    fingerprint,
    load_checkpoint,
)
from colourizer.network.onnx_weights import shrink_weights
from colourizer.runtime.atomic_file import write_atomically
from colourizer.runtime.cli import UsageError, check_folder, print_error, print_result, run_command
from colourizer.runtime.errors import reason_of
from Model_CNN import STRIDE, Model_CNN

MAX_BYTES = 13_000_000
VERSION = "1"  # of the inputs, outputs and metadata; rises when programs that use them must change
LICENCE = "MIT (the code); checkpoints/README.md says what the weights were trained on"
HOW_TO_PREPARE = (
    f"Reduce the photograph's lightness, as 8-bit greys of the sRGB curve, to about "
    f"{WORKING_PIXELS} pixels of its aspect ratio (beyond 4:1 and 1:4, of that), height and width "
    f"rounded to multiples of {STRIDE}, with a filter that averages (area, or antialiased "
    "bilinear). Levels are stretched inside. ab is in CIE Lab units (D65), a quarter as high and "
    "wide: enlarge it bicubically to the photograph's size, join it with the photograph's own "
    "lightness, and reduce chroma where sRGB has no such colour."
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Export a checkpoint as one ONNX file: from a grey picture to its colours, for "
        "any program with an ONNX runtime (docs/onnx.md). Prints the file and its size.",
        epilog="Exit codes: 0 done, 1 it could not be written, 2 bad usage.",
    )
    add = parser.add_argument
    add("checkpoint", nargs="?", type=Path, default=BUNDLED, metavar="CHECKPOINT",
        help="a file that train.py wrote (default: the bundled one)")  # fmt: skip
    add("-o", "--output", type=Path, metavar="FILE.onnx",
        help="the file; it is replaced if it is there already (default: CHECKPOINT with the "
        "suffix .onnx)")  # fmt: skip
    add("--max-megabytes", type=float, default=MAX_BYTES / 1e6, metavar="N",
        help="weights are stored in half precision, and where the file would become larger than "
        "this the largest in 8 bits (default: %(default)g)")  # fmt: skip
    add("--readout", action="store_true",
        help="write CHECKPOINT_readout.onnx, too: from the network's likelihoods to its colours, "
        "for programs that show one photograph in many ways, such as web/")  # fmt: skip
    return parser.parse_args(argv)


def export(checkpoint: Path, max_bytes: int = MAX_BYTES) -> Any:
    """Return a checkpoint's network as an onnx.ModelProto with metadata.

    Raises:
        CheckpointError: it cannot be used.
        ValueError: it has too many weights for the size.
    """
    model = build_model(load_checkpoint(checkpoint), checkpoint)
    exported = export_graph(model)
    in_8_bits = shrink_weights(exported, max_bytes)
    exported.doc_string = "Colours for a grey photograph"
    _add_facts(
        exported,
        checkpoint,
        {
            "how_to_prepare": HOW_TO_PREPARE,
            "working_pixels": str(WORKING_PIXELS),
            "multiple": str(STRIDE),
            "default_vividness": str(DEFAULT_VIVIDNESS),
            "variants": str(MAX_VARIANTS if has_likelihoods(model) else 1),
            "weights": f"half precision; 8 bits in {len(in_8_bits)} layers",
        },
    )
    return exported


def export_readout_of(checkpoint: Path) -> Any:
    """Return the readout of a checkpoint's network alone, as an onnx.ModelProto with metadata.

    Raises:
        CheckpointError: it cannot be used, or has no likelihoods.
    """
    model = build_model(load_checkpoint(checkpoint), checkpoint)
    if not isinstance(model, Model_CNN) or not has_likelihoods(model):
        raise CheckpointError(checkpoint, "predicts no likelihoods", "leave --readout out")
    exported = export_readout(model)
    exported.doc_string = "Other colours for a photograph whose likelihoods are known"
    _add_facts(exported, checkpoint, {})
    return exported


def _add_facts(exported: Any, checkpoint: Path, facts: dict[str, str]) -> None:
    """Add to a model who made it of which checkpoint, and some facts more."""
    from onnx import helper

    exported.producer_name, exported.producer_version = "Image Colourizer", VERSION
    exported.model_version = int(VERSION)
    origin = {"version": VERSION, "checkpoint_sha256": fingerprint(checkpoint), "licence": LICENCE}
    helper.set_model_props(exported, origin | facts)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    missing = [name for name in ("onnx", "onnxscript") if not find_spec(name)]
    if missing:
        print_error(f"needs {' and '.join(missing)}", 'pip install -e ".[onnx]"')
        return 2
    output = args.output or args.checkpoint.with_suffix(".onnx")
    if output.is_dir():
        print_error(f"{output}: is a folder", "-o FILE.onnx names a file")
        return 2
    try:
        check_folder(output.parent)
        models = {output: export(args.checkpoint, round(args.max_megabytes * 1e6))}
        if args.readout:
            beside = output.with_name(f"{output.stem}_readout.onnx")
            models[beside] = export_readout_of(args.checkpoint)
    except (UsageError, CheckpointError) as error:
        print_error(error)
        return 2
    except ValueError as error:
        print_error(f"{args.checkpoint}: {error}", "--max-megabytes allows more")
        return 2
    written = [write(model, path) for path, model in models.items()]
    return 0 if all(written) else 1


def write(model: Any, path: Path) -> bool:
    """Write an onnx.ModelProto, print its path and size, and return whether that went well."""
    content = model.SerializeToString(deterministic=True)
    try:
        write_atomically(path, lambda file: file.write(content))
    except OSError as error:
        print_error(f"{path}: {reason_of(error)}")
        return False
    print_result(f"{path}, {len(content) / 1e6:.1f} MB")
    return True


if __name__ == "__main__":
    run_command(main)
