"""Command: plot the curves of several training runs over each other."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import argparse
import math
from pathlib import Path

from colourizer.runtime.cli import print_error, print_note, print_result, run_command
from colourizer.runtime.errors import reason_of
from colourizer.training.plots import draw_comparison, find_best
from colourizer.training.run_folder import LOG, Log, read_log

AXES = ("images", "epoch", "seconds")
PICTURE = "comparison.png"
# Lab units. Computed on another device, the error of the same grey photographs differs by less.
SAME_ERROR = 0.01


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Lay the curves of several training runs over each other, in one picture.",
        epilog="Exit codes: 0 done, 1 some run has no log (the others are drawn), 2 bad usage.",
    )
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="folders that train.py wrote")
    add("-o", "--output", type=Path, metavar="FILE.png",
        help=f"the picture (default: {PICTURE} beside the first run)")  # fmt: skip
    add("--overwrite", action="store_true", help="replace the picture if it is there already")
    add("--by", choices=AXES, default=AXES[0],
        help="what the curves are drawn over: how many images were seen, epochs, or seconds "
        "(default: %(default)s)")  # fmt: skip
    args = parser.parse_args(argv)
    first = args.runs[0] if args.runs[0].name.strip(".") else args.runs[0].resolve()
    args.output = args.output or first.parent / PICTURE
    return args


def name_runs(runs: list[Path]) -> list[str]:
    """Return names of runs: the ends of their paths, as long as it takes to tell them apart."""
    paths = [run.resolve() for run in runs]
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            return names
    return [str(path) for path in paths]


def describe(name: str, log: Log) -> str:
    """Return how good a run became, in words."""
    best = find_best(log)
    return (
        f"{name}: best ab error {best['ab_error']:.2f} (grey {best['grey_ab_error']:.2f}) after "
        f"epoch {best['epoch']}, {best['images']} images, {best['seconds']} s"
    )


def note_other_photographs(logs: dict[str, Log]) -> None:
    """Print which runs were judged on other photographs than the first: grey errors tell."""
    errors = {name: log[-1].get("grey_ab_error", math.nan) for name, log in logs.items()}
    (first, error), *others = errors.items()
    differ = [name for name, other in others if abs(other - error) > SAME_ERROR]
    if differ:
        print_note(
            f"note: {first} was judged on other photographs than {', '.join(differ)}: their errors "
            "cannot be compared",
            "hint: train.py --validation FOLDER judges all runs on the same photographs",
        )


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    if args.output.exists() and not args.overwrite:
        hint = "--overwrite replaces it, -o FILE.png names another"
        print_error(f"{args.output}: is there already", hint)
        return 2
    logs: dict[str, Log] = {}
    for run, name in zip(args.runs, name_runs(args.runs), strict=True):
        try:
            logs[name] = read_log(run)
        except (OSError, ValueError):
            hint = "name the folder of a run of train.py that has ended an epoch"
            print_error(f"{run}: no readable {LOG} there", hint)
    if not logs:
        return 2
    try:
        draw_comparison(args.output, logs, args.by)
    except OSError as error:
        print_error(f"{args.output}: {reason_of(error)}")
        return 1
    for name, log in logs.items():
        print_result(describe(name, log))
    note_other_photographs(logs)
    print_result(args.output)
    return 0 if len(logs) == len(args.runs) else 1


if __name__ == "__main__":
    run_command(main)
