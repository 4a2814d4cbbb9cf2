"""Command: put colour into black-and-white photographs."""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from checkpoint import BUNDLED, CheckpointError
from colourizer import Colourizer
from console import print_error, progress
from device import DEVICES
from photo import SUFFIXES, PhotoError, find_photos, read_photo, write_photo, written_name


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
        default=Path("colourized"),
        metavar="DIR",
        help="where the coloured photographs go, in the same subfolders (default: %(default)s)",
    )
    add(
        "--checkpoint",
        type=Path,
        default=BUNDLED,
        metavar="FILE",
        help="a checkpoint of train.py, or of the original project (default: the bundled one)",
    )
    add("--overwrite", action="store_true", help="do again what is in the output folder already")
    add(
        "--device",
        choices=DEVICES,
        default="auto",
        help="what to compute on (default: %(default)s)",
    )
    return parser.parse_args(argv)


def plan(paths: list[Path], output: Path) -> list[Job]:
    """Pair every photograph with the file that it goes to, before anything is written.

    A folder's photographs keep their subfolders; with several folders, each keeps its name too.
    Two photographs never share a target: the later one gets a number.
    """
    folders = [p for p in paths if p.is_dir()]
    found: list[tuple[Path, Path]] = []  # source, path below output
    for path in paths:
        if path.is_dir():
            root = Path(path.resolve().name) if len(folders) > 1 else Path()
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


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    missing = [p for p in args.paths if not p.exists()]
    for path in missing:
        print_error(f"{path}: no such file or folder")
    jobs = plan([p for p in args.paths if p not in missing], args.output)
    if not jobs:
        if not missing:
            print_error(
                f"{args.paths[0]}: no photographs there", "looked for " + " ".join(sorted(SUFFIXES))
            )
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
            if job.target.exists() and not args.overwrite:
                skipped += 1
                continue
            try:
                if job.target.exists() and job.source.samefile(job.target):
                    raise PhotoError("would be written over itself; choose another --output")
                photo = read_photo(job.source)
                rgb = colourizer.colourize(photo.pixels)
                job.target.parent.mkdir(parents=True, exist_ok=True)
                write_photo(job.target, rgb, like=photo)
            except Exception as error:  # one bad photograph never stops a folder
                failed += 1
                print_error(f"{job.source}: {error or type(error).__name__}")
            else:
                done += 1
                print(job.target, flush=True)
    except KeyboardInterrupt:
        interrupted = True
    bar.close()
    rate = done / max(time.monotonic() - begun, 1e-9)
    print(
        f"{done} colourized, {skipped} skipped, {failed} failed ({rate:.1f} photos/s)",
        file=sys.stderr,
    )
    if skipped:
        print(
            f"hint: skipped ones are in {args.output} already; --overwrite does them again",
            file=sys.stderr,
        )
    if interrupted:
        return 130
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
