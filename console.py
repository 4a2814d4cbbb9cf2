"""What all commands share: how they read numbers, print results and errors, and end."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm


def at_least(smallest: float, kind: type = int) -> Callable[[str], Any]:
    """Make an argparse type: a number of the given kind, not below the smallest."""

    def number(text: str) -> Any:
        value = kind(text)
        if not value >= smallest:
            raise argparse.ArgumentTypeError(f"{text}: at least {smallest}")
        return value

    number.__name__ = kind.__name__  # argparse says "invalid int value"
    return number


def in_unit_range(text: str) -> float:
    """Be an argparse type: a number between 0 and 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: between 0 and 1")
    return value


in_unit_range.__name__ = "number"  # argparse says "invalid number value"


def print_result(result: object) -> None:
    """Write a line to stdout at once, above any progress bar."""
    if hasattr(sys.stdout, "reconfigure"):  # a file name may hold bytes that are no text
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        tqdm.write(str(result), file=sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads any more, as in "| head"; the work goes on
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends


def print_error(error: object, *hints: str) -> None:
    """Write an error and what helps against it to stderr, above any progress bar.

    Args:
        error: a message, or an exception; the notes of an exception are hints too.
        hints: what the user can do, commands if possible.
    """
    notes = (*getattr(error, "__notes__", ()), *(f"hint: {hint}" for hint in hints))
    message = str(error) or type(error).__name__
    tqdm.write("\n".join((f"error: {message}", *notes)), file=sys.stderr)


def print_skipped(what: object, reason: object) -> None:
    """Write to stderr what is left alone and why, above any progress bar."""
    tqdm.write(f"skipped: {what}: {reason}", file=sys.stderr)


def progress(items: Iterable[Any], what: str, total: int | None = None, **options: Any) -> tqdm:
    """Show a progress bar over the items, on a terminal only; options are tqdm's."""
    return tqdm(items, what, total, disable=not sys.stderr.isatty(), **{"unit": "photo"} | options)


def run_command(main: Callable[[], int]) -> NoReturn:
    """Run a command's main and end with its exit code; Ctrl-C ends it with 130, no traceback."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
