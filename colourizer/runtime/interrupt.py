"""Ctrl-C and SIGTERM: noted, so that what has begun is finished, or given up in good order."""

import os
import signal
import threading
from collections.abc import Callable

PATIENCE = 4.0  # seconds that running work has to finish after Ctrl-C


class Stopped(BaseException):
    """The run ends, and work that has begun is dropped."""


class Interrupt:
    """Context in which Ctrl-C and SIGTERM only set `exit_code`, so that work ends between steps.

    exit_code: 0; after Ctrl-C 130, after SIGTERM 143.
    """

    def __init__(self, patience: float | None = None, give_up: Callable[[], object] = int) -> None:
        """Set when the process is ended at once: on a second signal, or when patience is over.

        Args:
            patience: seconds after the first signal; None never ends the process.
            give_up: called before the process is ended in the middle of its work.
        """
        self.exit_code = 0
        self._patience, self._give_up = patience, give_up
        self._timer: threading.Timer | None = None

    def __enter__(self) -> "Interrupt":
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self.wait_longer()

    def wait_longer(self) -> None:
        """Let the end of the work take its time: only a second signal ends the process at once."""
        if self._timer:
            self._timer.cancel()

    def _note(self, signum: int, _frame: object) -> None:
        again, self.exit_code = self.exit_code, 128 + signum
        if self._patience is None:
            return
        if again:
            self._end()
        self._timer = threading.Timer(self._patience, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        self._give_up()
        os._exit(self.exit_code)
