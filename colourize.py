"""Command: put colour into black-and-white photographs."""

import argparse
import io
import sys
from collections import Counter
from pathlib import Path

from colourizer.inference.batch import THERE_ALREADY, Outcome, colourize_all, predict, see
from colourizer.inference.colour_file import provenance_tag, write_coloured
from colourizer.inference.colourizer import VIVIDNESS, Colourizer
from colourizer.inference.hints import Hint, HintError, parse_hint
from colourizer.inference.output_plan import (
    DEFAULT_OUTPUT,
    SHEET,
    Job,
    find_all,
    list_unfinished,
    plan,
)
from colourizer.inference.prediction import MOST_VARIANTS, Reference
from colourizer.network.checkpoint import BUNDLED, CheckpointError
from colourizer.network.device import add_device_option
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import SUFFIXES, TARGETS
from colourizer.photos.read import read_photo
from colourizer.runtime.cli import (
    in_unit_range,
    list_hints,
    print_error,
    print_note,
    print_result,
    run_command,
)


def path_or_stream(text: str) -> Path | None:
    """Be an argparse type: a path, or None for -, standard input."""
    return None if text == "-" else Path(text)


def hint_option(text: str) -> Hint:
    """Be an argparse type: a hint."""
    try:
        return parse_hint(text)
    except HintError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Put colour into black-and-white photographs. Prints the files it wrote.",
        epilog="exit codes: 0 all done, 1 some failed, 2 bad usage, 130 or 143 interrupted. Under "
        "torchrun, processes share the photographs.",
    )
    add = parser.add_argument
    add("paths", nargs="+", type=path_or_stream, metavar="PATH",
        help="photographs, or folders of them with their subfolders; - for one photograph from "
        "standard input, coloured to standard output")  # fmt: skip
    add("-o", "--output", type=Path, metavar="DIR",
        help="where the coloured photographs go, in the same subfolders "
        f"(default: {DEFAULT_OUTPUT}/ and the folder's name)")  # fmt: skip
    add("--format", choices=tuple(TARGETS), help="write all as this (default: each as it was)")
    add("--overwrite", action="store_true", help="do again what is in the output folder already")
    add("--dry-run", action="store_true", help="only say which files would be written")
    add("--keep-luma", action="store_true",
        help="grey JPEGs: keep what they store bit for bit and put colour beside it; faster, but "
        "some programs do not read such files, and strong colours become lighter")  # fmt: skip
    add("--no-tag", action="store_true",
        help="do not say in the files' metadata what coloured them")  # fmt: skip
    add_device_option(parser)

    add = parser.add_argument_group("colours").add_argument
    add("--checkpoint", type=Path, default=BUNDLED, metavar="FILE",
        help="a checkpoint of train.py, or of the original project (default: the bundled "
        "one)")  # fmt: skip
    add("--vividness", type=in_unit_range, metavar="V",
        help="0: the safe mean of all likely colours; 1: the most vivid "
        f"(default: {VIVIDNESS})")  # fmt: skip

    add("--hint", type=hint_option, action="append", default=[], metavar="X,Y,#RRGGBB",
        help="the colour at a place of the photograph, in pixels from the left and from the top; "
        "what belongs to it follows. May be given several times; for one photograph "
        "alone")  # fmt: skip
    add("--reference", type=Path, metavar="PHOTO",
        help="a photograph in colour; its colours go where the others look like it")  # fmt: skip

    add = parser.add_argument_group("beside each photograph").add_argument
    add("--variants", type=int, choices=range(1, MOST_VARIANTS + 1), default=1, metavar="N",
        help="write N different plausible colourings: NAME, NAME_variant2 and so on, and "
        f"NAME_N_variants.png, which shows them side by side; at most {MOST_VARIANTS}")  # fmt: skip
    add("--confidence", action="store_true",
        help="write NAME_confidence.png: white where the network is sure of the "
        "colour")  # fmt: skip
    add("--compare", action="store_true",
        help="write NAME_compared.jpg, grey and coloured side by side, and "
        f"{SHEET} of them")  # fmt: skip

    add = parser.add_argument_group("reports").add_argument
    add("--json", action="store_true",
        help="print a line of JSON for each photograph, not the files")  # fmt: skip
    add("--report", type=Path, metavar="FILE",
        help="add such lines to a file as well; under torchrun, FILE_0, FILE_1 and so "
        "on")  # fmt: skip
    args = parser.parse_args(argv)
    if None in args.paths:
        if len(args.paths) > 1:
            parser.error("-: is one photograph alone; leave the other paths out")
        for name in ("output", "dry_run", "json", "report", "confidence", "compare"):
            if getattr(args, name):
                parser.error(f"--{name.replace('_', '-')}: has no meaning for -")
        if args.variants > 1:
            parser.error("--variants: has no meaning for -")
    if args.report and (args.report.suffix.lower() in SUFFIXES or args.report.is_dir()):
        parser.error(f"--report {args.report}: needs the name of a text file")
    return args


def read_reference(path: Path, colourizer: Colourizer) -> Reference:
    """Read a photograph whose colours others are to get.

    Raises:
        PhotoError: it cannot be read, or has no colours.
    """
    try:
        return colourizer.study_reference(read_photo(path).pixels)
    except ValueError as error:
        raise PhotoError(str(error)) from error


def colourize_stream(
    colourizer: Colourizer, args: argparse.Namespace, tag: str | None, reference: Reference | None
) -> int:
    """Colour one photograph from standard input to standard output; return the exit code."""
    file = io.BytesIO()  # encoders go back to earlier places
    try:
        file_in = io.BytesIO(sys.stdin.buffer.read())
        seen = see(read_photo(file_in, with_scans=args.keep_luma), args)
        [((ab,), _)] = predict([seen], 1, args, colourizer, reference)
        write_coloured(file, seen.photo, ab, args.format, tag, lambda: None, seen.averages)
    except Exception as error:  # what cannot be read, or has no room in the format
        print_error(f"standard input: {str(error) or type(error).__name__}", *list_hints(error))
        return 1
    try:
        sys.stdout.buffer.write(file.getvalue())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        print_error("standard output: was closed before the photograph was written")
        return 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    stream = args.paths == [None]
    jobs: list[Job] = []
    failed: list[str] = []
    if not stream:
        output = args.output or Path(DEFAULT_OUTPUT)
        for path in args.paths:
            if path.is_dir() and path.resolve() == output.resolve():
                what = f"{output}: is where the photographs are"
                print_error(what, "name another folder with -o")
                return 2
        found, failed = find_all(args.paths, output)
        for what in failed:
            print_error(what)
        if not found:
            if not failed:
                hint = "looked for " + " ".join(sorted(SUFFIXES))
                print_error(f"{args.paths[0]}: no photographs there", hint)
            return 2
        if args.hint and len(found) > 1:
            print_error(f"--hint: is for one photograph alone, and here are {len(found)}")
            return 2
        jobs = plan(found, output, args)
        if args.dry_run:
            return dry_run(jobs, args, len(failed))
    try:
        vividness = VIVIDNESS if args.vividness is None else args.vividness
        colourizer = Colourizer.load(args.checkpoint, args.device, vividness)
        asked = args.confidence or args.variants > 1 or args.vividness is not None
        if asked and not colourizer.knows_likelihoods:
            what = "its network has one answer only, and does not know how sure it is"
            hint = "leave out --vividness, --confidence and --variants"
            print_error(f"{args.checkpoint}: {what}", hint)
            return 2
    except CheckpointError as error:
        print_error(error)
        return 2
    try:
        reference = read_reference(args.reference, colourizer) if args.reference else None
    except PhotoError as error:
        print_error(f"--reference {args.reference}: {error}", *list_hints(error))
        return 2
    tag = None if args.no_tag else provenance_tag(args.checkpoint)
    if stream:
        return colourize_stream(colourizer, args, tag, reference)
    return colourize_all(jobs, colourizer, args, tag, reference, len(failed))


def dry_run(jobs: list[Job], args: argparse.Namespace, failed: int) -> int:
    """Say what would be written; return the exit code."""
    counts = Counter(failed=failed)
    lines = []
    for job in jobs:
        try:
            wanted = list_unfinished(job, args.overwrite)
        except PhotoError as error:
            counts["failed"] += 1
            print_error(f"{job.source}: {error}")
            continue
        counts["skipped" if not wanted else "planned"] += 1
        if args.json:
            reason = "" if wanted else THERE_ALREADY
            outcome = Outcome(job.source, "planned" if wanted else "skipped", wanted, reason)
            lines.append(outcome.as_json())
        else:
            lines += [str(path) for path in wanted]
    if lines:
        print_result("\n".join(lines))
    done = f"{counts['planned']} would be colourized, {counts['skipped']} skipped"
    print_note(f"{done}, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


def run() -> None:
    """Run the installed command and end the process with its exit code."""
    run_command(main)


if __name__ == "__main__":
    run()
