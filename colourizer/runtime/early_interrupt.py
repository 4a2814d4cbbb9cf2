"""Ctrl-C while a command's imports last, which takes seconds: one line, and exit code 130.

A package that is not installed: two lines, and exit code 2.
The first import of every command, until `cli.run_command` calls its main.
"""

import os
import signal
import sys
import threading
from types import FrameType, TracebackType

HINT = "hint: activate the environment it is in (.venv), or pip install -r requirements.txt"
_excepthook = sys.excepthook
_interrupted = False


def _note(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt as ever; some extension modules turn it into other exceptions."""
    global _interrupted
    _interrupted = True
    signal.default_int_handler(number, frame)


def _report(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Report an exception that nobody caught; Ctrl-C and a missing package in words."""
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if _interrupted or kind is KeyboardInterrupt:
        message, code = "interrupted", 130
    elif missing.isidentifier() and missing != "colourizer":  # no part of an installed package
        message, code = f"error: needs the package {missing}\n{HINT}", 2
    else:
        _excepthook(kind, error, traceback)
        return
    if sys.stderr:
        print(message, file=sys.stderr, flush=True)  # noqa: T201 - cli.py may not be there yet
    os._exit(code)


def restore() -> None:
    """Leave Ctrl-C to others from now on."""
    if signal.getsignal(signal.SIGINT) is _note:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.excepthook = _excepthook


if threading.current_thread() is threading.main_thread():  # others may not set handlers
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        signal.signal(signal.SIGINT, _note)
    sys.excepthook = _report
