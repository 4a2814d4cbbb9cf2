"""A bound on how much several threads hold in memory at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Room:
    """So much room, in whatever unit; who finds too little waits."""

    def __init__(self, size: int) -> None:
        self._free = self._size = size
        self._changed = Condition()

    @contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Hold some of it; who wants more than there is gets all."""
        amount = min(amount, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()
