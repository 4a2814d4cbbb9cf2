"""Command: print what is in a checkpoint, and export it small for sharing."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import argparse
import json
from pathlib import Path
from textwrap import fill
from typing import Any

from colourizer.network.checkpoint import (
    CheckpointError,
    build_model,
    fingerprint,
    load_checkpoint,
    model_content,
    save_checkpoint,
)
from colourizer.runtime.cli import print_error, print_result, run_command
from colourizer.runtime.errors import reason_of

INDENT, WIDTH = 13, 100  # characters


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Say what is in a checkpoint: its network, what it was trained on and how, how "
        "good it was, and its hash.",
        epilog="Exit codes: 0 done, 1 some checkpoint cannot be used, 2 bad usage.",
    )
    add = parser.add_argument
    add("checkpoints", nargs="+", type=Path, metavar="CHECKPOINT", help="files that train.py wrote")
    add("--json", action="store_true", help="an object of JSON in a line for each, for machines")
    add("--export", type=Path, metavar="FILE.pt",
        help="also write the network alone, in half precision and without what only training "
        "needs: for sharing")  # fmt: skip
    args = parser.parse_args(argv)
    if args.export and len(args.checkpoints) > 1:
        parser.error("--export: takes one CHECKPOINT")
    return args


def describe(path: Path) -> dict[str, Any]:
    """Return what is in a checkpoint, as it is printed with --json.

    Raises:
        CheckpointError: it cannot be used.
    """
    content = load_checkpoint(path)
    model = build_model(content, path)
    weights = content["model"].values()
    about, state = content.get("about", {}), content.get("state", {})
    log = state.get("log") or [None]
    progress = {name: state[name] for name in ("epoch", "step", "images", "seconds") if state}
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": fingerprint(path),
        "format": content["format"],
        "network": content["network"],
        "config": content["model_config"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "precision": "half" if any(w.element_size() == 2 for w in weights) else "full",
        "goes on": bool(state),
        "progress": progress,
        "options": about.get("options", {}),
        "photographs": about.get("photographs", {}),
        "scores": about.get("scores") or log[-1] or {},
    }


def to_text(found: dict[str, Any]) -> str:
    """Return what `describe` found as lines of text."""

    def pairs(values: dict[str, Any]) -> str:
        known = (f"{name} {value}" for name, value in values.items() if value not in (None, [], ""))
        return ", ".join(known) or "not said"

    photographs = found["photographs"]
    total = f"{sum(photographs.values())} in {len(photographs)} folders: " if photographs else ""
    rows = {
        "file": f"{found['file']}, {found['bytes'] / 1e6:.1f} MB",
        "sha256": found["sha256"],
        "format": found["format"],
        "network": f"{found['network']}, {found['parameters']:,} parameters, weights in "
        f"{found['precision']} precision; {pairs(found['config'])}",
        "for": "going on with training, and colouring" if found["goes on"] else "colouring",
        "progress": pairs(found["progress"]),
        "options": pairs(found["options"]),
        "photographs": total + pairs(photographs),
        "scores": pairs(found["scores"]),
    }
    lines = []
    for name, text in rows.items():
        first = f"{name:{INDENT}}"
        lines.append(
            first + text
            if name == "file"  # a path is never cut
            else fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * INDENT)
        )
    return "\n".join(lines)


def export(source: Path, target: Path) -> None:
    """Write a checkpoint's network and its "about", in half precision.

    Args:
        source: a checkpoint.
        target: the file to write; it must not be there yet.

    Raises:
        CheckpointError: the source cannot be used.
    """
    content = load_checkpoint(source)
    kept = model_content(build_model(content, source), half=True)
    if "about" in content:
        kept["about"] = content["about"]
    save_checkpoint(target, kept)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    if args.export and args.export.exists():
        print_error(f"{args.export}: is there already; nothing was overwritten")
        return 2
    failed = 0
    for path in args.checkpoints:
        try:
            found = describe(path)
            print_result(json.dumps(found) if args.json else to_text(found))
            if args.export:
                export(path, args.export)
                print_result(f"exported: {args.export}, {args.export.stat().st_size / 1e6:.1f} MB")
        except CheckpointError as error:
            failed += 1
            print_error(error)
        except OSError as error:
            failed += 1
            print_error(f"{error.filename or path}: {reason_of(error)}")
    return 1 if failed else 0


if __name__ == "__main__":
    run_command(main)
