"""Command: put colour into black-and-white photographs."""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from checkpoint import BUNDLED, CheckpointError
from colourizer import Colourizer
from console import print_error, print_result, progress, run_command
from device import add_device_option
from photo import SUFFIXES, PhotoError, find_photos, read_photo, write_photo, written_name

DEFAULT_OUTPUT = "colourized"


@dataclass(frozen=True)
class Job:
    """A photograph and the file that its coloured version goes to."""

    source: Path
    target: Path


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Put colour into black-and-white photographs. Prints the files it wrote.",
        epilog="exit codes: 0 all done, 1 some failed, 2 bad usage, 130 interrupted",
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="photographs, or folders of them")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="where the coloured photographs go, in the same subfolders "
        f"(default: {DEFAULT_OUTPUT}/ and the folder's name)",
    )
    add(
        "--checkpoint",
        type=Path,
        default=BUNDLED,
        metavar="FILE",
        help="a checkpoint of train.py, or of the original project (default: the bundled one)",
    )
    add("--overwrite", action="store_true", help="do again what is in the output folder already")
    add_device_option(parser)
    return parser.parse_args(argv)


def plan(paths: list[Path], output: Path, keep_names: bool) -> list[Job]:
    """Pair every photograph with the file that it goes to, before anything is written.

    Two photographs never share a target: the later one gets a number.

    Args:
        paths: photographs and folders, all there.
        output: where the targets lie; never searched for photographs.
        keep_names: put a folder's photographs into a folder of its name below output.
    """
    found: list[tuple[Path, Path]] = []  # source, path below output
    for path in paths:
        if path.is_dir():
            root = Path(path.resolve().name if keep_names else "")
            found += [(p, root / p.relative_to(path)) for p in find_photos(path, without=output)]
        else:
            found.append((path, Path(path.name)))
    jobs, taken, seen = [], set(), set()
    for source, below in found:
        if source.absolute() in seen:
            continue
        seen.add(source.absolute())
        target = below.with_name(written_name(below))
        n = 2
        while str(target).casefold() in taken:  # some file systems take A.jpg for a.jpg
            target = below.with_name(written_name(below.with_stem(f"{below.stem}_{n}")))
            n += 1
        taken.add(str(target).casefold())
        jobs.append(Job(source, output / target))
    return jobs


def colourize(job: Job, colourizer: Colourizer, overwrite: bool) -> bool:
    """Colourize one photograph; return False if that was done before."""
    there = job.target.exists()
    if there and job.source.samefile(job.target):
        raise PhotoError("would be written over itself; name another folder with -o")
    if there and not overwrite:
        return False
    photo = read_photo(job.source)
    rgb = colourizer.colourize(photo.pixels)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_photo(job.target, rgb, like=photo)
    return True


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    output = args.output or Path(DEFAULT_OUTPUT)
    try:
        missing = [path for path in args.paths if not path.exists()]
        for path in missing:
            print_error(f"{path}: no such file or folder")
        folders = [path for path in args.paths if path.is_dir()]
        if any(path.resolve() == output.resolve() for path in folders):
            print_error(f"{output}: is where the photographs are", "name another folder with -o")
            return 2
        keep_names = args.output is None or len(folders) > 1
        jobs = plan([path for path in args.paths if path not in missing], output, keep_names)
    except OSError as error:
        print_error(f"{error.filename}: {error.strerror}")
        return 2
    if not jobs:
        if not missing:
            hint = "looked for " + " ".join(sorted(SUFFIXES))
            print_error(f"{args.paths[0]}: no photographs there", hint)
        return 2
    try:
        colourizer = Colourizer.load(args.checkpoint, args.device)
    except CheckpointError as error:
        print_error(error)
        return 2

    done, skipped, failed = 0, 0, len(missing)
    begun = time.monotonic()
    interrupted = False
    bar = progress(jobs, "colourizing")
    try:
        for job in bar:
            try:
                is_new = colourize(job, colourizer, args.overwrite)
            except Exception as error:  # one bad photograph never stops a folder
                failed += 1
                print_error(f"{job.source}: {error or type(error).__name__}")
                continue
            done += is_new
            skipped += not is_new
            if is_new:
                print_result(job.target)
    except KeyboardInterrupt:
        interrupted = True
    bar.close()
    rate = done / max(time.monotonic() - begun, 1e-9)
    counts = f"{done} colourized, {skipped} skipped, {failed} failed ({rate:.1f} photos/s)"
    print(counts, file=sys.stderr)
    if skipped:
        hint = f"skipped: there already in {output}; --overwrite does them again"
        print(f"hint: {hint}", file=sys.stderr)
    if interrupted:
        return 130
    return 1 if failed else 0


if __name__ == "__main__":
    run_command(main)
