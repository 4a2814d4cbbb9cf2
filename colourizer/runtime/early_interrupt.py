"""Ctrl-C while a command's imports last, which takes seconds: one line, and exit code 130.

The first import of every command, until `cli.run_command` calls its main.
"""

import os
import signal
import sys
import threading
from types import FrameType, TracebackType

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
    """Report an exception that nobody caught; one that Ctrl-C led to, in a word."""
    if not _interrupted and kind is not KeyboardInterrupt:
        _excepthook(kind, error, traceback)
        return
    if sys.stderr:
        print("interrupted", file=sys.stderr, flush=True)  # noqa: T201 - cli.py may not be there yet
    os._exit(130)


def restore() -> None:
    """Leave Ctrl-C to others from now on."""
    if signal.getsignal(signal.SIGINT) is _note:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.excepthook = _excepthook


if threading.current_thread() is threading.main_thread():  # others may not set handlers
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        signal.signal(signal.SIGINT, _note)
    sys.excepthook = _report
