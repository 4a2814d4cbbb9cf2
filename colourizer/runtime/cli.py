"""Shared by all commands: argparse types, results and errors on the streams, Ctrl-C, exit codes."""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from tqdm import tqdm

from colourizer.runtime import early_interrupt
from colourizer.runtime.errors import HintedError, reason_of

_failures: list[str] = []  # streams that could not be written to


class UsageError(HintedError):
    """The command line asks for what cannot be done; notes hold hints."""


def at_least(smallest: float, kind: type = int) -> Callable[[str], Any]:
    """Return an argparse type: a number of the given kind, not below the smallest."""

    def number(text: str) -> Any:
        value = kind(text)
        if not value >= smallest:
            raise argparse.ArgumentTypeError(f"{text}: at least {smallest}")
        return value

    number.__name__ = kind.__name__  # argparse says "invalid int value"
    return number


def in_range(low: float, high: float) -> Callable[[str], float]:
    """Return an argparse type: a number in [low, high]."""

    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}: between {low:g} and {high:g}")
        return value

    return number  # argparse says "invalid number value"


in_unit_range = in_range(0, 1)


def check_folder(folder: Path) -> None:
    """Try whether files can be written to the folder that -o names, or to where it would be made.

    Raises:
        UsageError: they cannot.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    hint = "name another folder with -o"
    if not nearest.is_dir():
        raise UsageError(f"-o {folder}: {nearest} is a file, not a folder", hint)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        what = f"-o {folder}: cannot be written to ({reason_of(error)})"
        raise UsageError(what, hint) from error


def _write(text: str, file: TextIO) -> None:
    """Write lines above any progress bar."""
    # Text and line end in one write: torchrun's processes share the stream, unbuffered.
    tqdm.write(f"{text}\n", file=file, end="")


def _write_to_stderr(text: str) -> None:
    with suppress(OSError):  # it is full, or nobody reads it: the work goes on
        _write(text, sys.stderr)


def print_result(result: object) -> None:
    """Write a line to stdout at once, above any progress bar."""
    if hasattr(sys.stdout, "reconfigure"):  # a file name may hold undecodable bytes
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")
    try:
        _write(str(result), sys.stdout)
        sys.stdout.flush()
    except OSError as error:  # the work goes on
        abandon_stdout()
        if not isinstance(error, BrokenPipeError):  # that is "| head", which has enough
            print_error(f"standard output: {reason_of(error)}")
            _failures.append("stdout")


def abandon_stdout() -> None:
    """Discard what stdout still holds, and whatever is written to it from now on."""
    failed = sys.stdout
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    if failed is sys.__stdout__ and failed is not None:  # else it would be flushed at exit
        os.dup2(sys.stdout.fileno(), failed.fileno())


def describe_error(error: object, *hints: str) -> str:
    """Return an error and its hints, a line each.

    Args:
        error: a message, or an exception, whose notes are lines too.
        hints: what the user can do, commands if possible.
    """
    notes = (*getattr(error, "__notes__", ()), *(f"hint: {hint}" for hint in hints))
    message = str(error) or type(error).__name__
    return "\n".join(map(one_line, (f"error: {message}", *notes)))


def one_line(text: str) -> str:
    """Return a text without line ends and codes that a terminal obeys.

    What libraries say, and names of files, may have some.
    """
    text = re.sub(r"\s*[\r\n]+\s*", " ", text.strip())
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", text)


def print_error(error: object, *hints: str) -> None:
    """Write an error and its hints, as for `describe_error`, to stderr, above any progress bar."""
    _write_to_stderr(describe_error(error, *hints))


def list_hints(error: BaseException) -> list[str]:
    """Return the hints in an exception's notes, to print them with another message."""
    return [note.removeprefix("hint: ") for note in getattr(error, "__notes__", ())]


def print_note(*lines: str) -> None:
    """Write lines other than errors to stderr, above any progress bar."""
    if lines:
        _write_to_stderr("\n".join(map(one_line, lines)))


def progress(
    items: Iterable[Any], what: str, total: int | None = None, shown: bool = True, **options: Any
) -> tqdm:
    """Return a tqdm progress bar over items, shown on terminals only; options are tqdm's."""
    hidden = not shown or not sys.stderr.isatty()
    return tqdm(items, what, total, disable=hidden, **{"unit": "photo"} | options)


@contextmanager
def output_only_if(shown: bool) -> Iterator[None]:
    """Discard stdout and stderr within the context unless shown: one process of a run prints."""
    with Path(os.devnull).open("w") as nowhere, ExitStack() as stack:
        if not shown:
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        yield


def run_command(main: Callable[[], int]) -> NoReturn:
    """Run a command's main and exit with its code; on Ctrl-C with 130, without a traceback."""
    early_interrupt.restore()
    _replace_missing_streams()
    try:
        code = main()
        sys.exit(code or (1 if _failures else 0))
    except KeyboardInterrupt:
        print_note("interrupted")
        sys.exit(130)


def _replace_missing_streams() -> None:
    """Open os.devnull in place of streams that there are not, under pythonw and in some services.

    Without its number a file of ours would get it, and what libraries print with it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the process ends
